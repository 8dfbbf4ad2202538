//! Names that stand for expressions over columns.
//!
//! They are replaced in the text, where the parser says that they stand, so that the rest of it stays letter for letter
//! as the user wrote it: what a model keeps can be read, and compiles as it did before.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{Expr, Ident, VisitMut, VisitorMut};
use datafusion_sql::sqlparser::tokenizer::{Location, Span, Token};

use super::{syntax, with_deep_stack};
use crate::ExpressionError;
use crate::error::quoted;

/// Named expressions that other expressions may read as if they were columns.
///
/// A name is matched as the name of a column is: letter for letter, quoted or not, its parts joined by dots. So `alert`
/// is not part of `alert.signature`, and a function of the same name is not meant. An alias wins over a column of its
/// name. Aliases read columns alone, no other alias: `port` may be defined by a column `port`.
///
/// ```
/// let aliases = phantomnet_features::Aliases::new([("payload", "coalesce(input, url)")])?;
/// assert_eq!(aliases.expand("n", "payload_length(payload)")?, "payload_length((coalesce(input, url)))");
/// # Ok::<(), phantomnet_features::ExpressionError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aliases {
    /// Name to expression, without comments and line breaks.
    expressions: BTreeMap<String, String>,
}

impl Aliases {
    /// Aliases of pairs of name and SQL; of two with one name the later counts.
    ///
    /// # Errors
    /// [`ExpressionError::Syntax`], [`ExpressionError::TooLong`] and [`ExpressionError::TooDeep`], under the alias's name.
    pub fn new<N: AsRef<str>, S: AsRef<str>>(
        aliases: impl IntoIterator<Item = (N, S)>,
    ) -> Result<Self, ExpressionError> {
        let mut expressions = BTreeMap::new();
        for (name, sql) in aliases {
            let (name, sql) = (name.as_ref(), sql.as_ref());
            let line = on_deep_stack(name, || {
                let tree = syntax::parse(name, sql)?;
                let line = in_one_line(name, sql)?;
                // Leaving out blanks and comments changes no SQL that is known; of what is not known, this tells.
                if syntax::parse(name, &line)? == tree { Ok(line) } else { Ok(sql.to_owned()) }
            })?;
            expressions.insert(name.to_owned(), line);
        }
        Ok(Self { expressions })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.expressions.is_empty()
    }

    /// Names and expressions, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.expressions.iter().map(|(name, sql)| (name.as_str(), sql.as_str()))
    }

    /// `sql` with every alias replaced by its expression in parentheses; errors are about the expression `name`.
    ///
    /// # Errors
    /// Those of text that is not SQL or, after replacing, too long or too deep: [`ExpressionError::Syntax`],
    /// [`ExpressionError::TooLong`], [`ExpressionError::TooDeep`].
    pub fn expand(&self, name: &str, sql: &str) -> Result<String, ExpressionError> {
        if self.is_empty() {
            return Ok(sql.to_owned());
        }
        on_deep_stack(name, || self.replace(name, sql))
    }

    fn replace(&self, name: &str, sql: &str) -> Result<String, ExpressionError> {
        let mut tree = syntax::parse(name, sql)?;
        let mut replacer = Replacer { aliases: self, name, found: Vec::new(), n_bytes: sql.len() };
        if let ControlFlow::Break(error) = tree.visit(&mut replacer) {
            return Err(error);
        }
        let mut found = replacer.found;
        if found.is_empty() {
            return Ok(sql.to_owned());
        }
        found.sort_by_key(|(span, _)| *span);
        let misplaced = || ExpressionError::Syntax {
            name: name.to_owned(),
            reason: format!("a common column stands where only a column can, in `{}`", quoted(sql)),
        };
        let expanded = splice(sql, &found).ok_or_else(misplaced)?;
        match syntax::parse(name, &expanded) {
            Ok(parsed) if parsed == tree => Ok(expanded),
            Ok(_) | Err(ExpressionError::Syntax { .. }) => Err(misplaced()),
            Err(error) => Err(error),
        }
    }
}

fn on_deep_stack<T: Send>(
    name: &str,
    work: impl FnOnce() -> Result<T, ExpressionError> + Send,
) -> Result<T, ExpressionError> {
    with_deep_stack(work)
        .map_err(|e| ExpressionError::Plan { name: name.to_owned(), reason: quoted(&e.to_string()) })?
}

/// Puts the expressions of aliases into the tree and notes where their names stand in the text.
struct Replacer<'a> {
    aliases: &'a Aliases,
    name: &'a str,
    found: Vec<(Span, &'a str)>,
    /// Length of the text with what was put in: short names may stand for gigabytes.
    n_bytes: usize,
}

impl VisitorMut for Replacer<'_> {
    type Break = ExpressionError;

    // After its children, so that what an alias stands for is not looked at.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ExpressionError> {
        let parts: &[Ident] = match expr {
            Expr::Identifier(part) => std::slice::from_ref(part),
            Expr::CompoundIdentifier(parts) => parts,
            _ => return ControlFlow::Continue(()),
        };
        let column = parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
        let Some((alias, sql)) = self.aliases.expressions.get_key_value(&column) else {
            return ControlFlow::Continue(());
        };
        self.n_bytes += sql.len();
        if self.n_bytes > syntax::MAX_BYTES {
            let (name, n_bytes) = (self.name.to_owned(), self.n_bytes);
            return ControlFlow::Break(ExpressionError::TooLong { name, n_bytes, limit: syntax::MAX_BYTES });
        }
        self.found.push((Span::union_iter(parts.iter().map(|part| part.span)), sql));
        match syntax::parse(alias, sql) {
            Ok(tree) => {
                *expr = Expr::Nested(Box::new(tree));
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The text with each span replaced, in their order; `None` when a span is not in it.
fn splice(sql: &str, found: &[(Span, &str)]) -> Option<String> {
    let places: Vec<Location> = found.iter().flat_map(|(span, _)| [span.start, span.end]).collect();
    let offsets = offsets(sql, &places)?;
    let mut out = String::new();
    let mut copied = 0;
    for ((_, alias), ends) in found.iter().zip(offsets.chunks_exact(2)) {
        out.push_str(sql.get(copied..ends[0])?);
        out.push('(');
        out.push_str(alias);
        out.push(')');
        copied = ends[1];
    }
    out.push_str(&sql[copied..]);
    Some(out)
}

/// Where in the text sorted lines and columns are, in bytes.
fn offsets(sql: &str, places: &[Location]) -> Option<Vec<usize>> {
    let mut offsets = Vec::with_capacity(places.len());
    let mut here = Location { line: 1, column: 1 };
    let characters = sql.char_indices().map(|(offset, c)| (offset, Some(c))).chain([(sql.len(), None)]);
    for (offset, c) in characters {
        while places.get(offsets.len()) == Some(&here) {
            offsets.push(offset);
        }
        here = match c {
            Some('\n') => Location { line: here.line + 1, column: 1 },
            _ => Location { line: here.line, column: here.column + 1 },
        };
    }
    (offsets.len() == places.len()).then_some(offsets)
}

/// The expression as written, with one blank for every stretch of blanks and comments.
fn in_one_line(name: &str, sql: &str) -> Result<String, ExpressionError> {
    let tokens = syntax::tokens(name, sql)?;
    let words: Vec<Span> = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).map(|t| t.span).collect();
    let places: Vec<Location> = words.iter().flat_map(|span| [span.start, span.end]).collect();
    let Some(offsets) = offsets(sql, &places) else { return Ok(sql.to_owned()) };
    let mut line = String::new();
    let mut end = None;
    for ends in offsets.chunks_exact(2) {
        if end.is_some_and(|end| end < ends[0]) {
            line.push(' ');
        }
        line.push_str(&sql[ends[0]..ends[1]]);
        end = Some(ends[1]);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn aliases() -> Aliases {
        Aliases::new([
            ("payload", "coalesce(input, -- what was typed\n  url)"),
            ("alert", "severity > 1"),
            ("time", "ts"),
            ("lower", "a"),
            ("source.ip", "\"src ip\""),
            ("ts", "time"),
        ])
        .unwrap()
    }

    #[rstest]
    #[case("port + 1", "port + 1")]
    #[case("f(payload)  -- é\n + payload", "f((coalesce(input, url)))  -- é\n + (coalesce(input, url))")]
    #[case(
        "'é\npayload' || \"payload\" || `payload`",
        "'é\npayload' || (coalesce(input, url)) || (coalesce(input, url))"
    )]
    #[case("PAYLOAD || \"Payload\"", "PAYLOAD || \"Payload\"")] // case is kept
    #[case("alert AND alert.signature = 'alert'", "(severity > 1) AND alert.signature = 'alert'")]
    #[case("x.alert", "x.alert")]
    #[case("NOT alert", "NOT (severity > 1)")]
    #[case("source.ip = source . \"ip\" OR \"source.ip\"", "(\"src ip\") = (\"src ip\") OR (\"src ip\")")]
    #[case("source = ip", "source = ip")]
    #[case("lower(lower)", "lower((a))")] // a function and a column
    #[case("date_part('hour', time) + ts", "date_part('hour', (ts)) + (time)")] // once
    #[case("extract(hour FROM time)", "extract(hour FROM (ts))")]
    #[case("trim(payload FROM time)", "trim((coalesce(input, url)) FROM (ts))")] // read in another order
    #[case("CAST(time AS TIME) = TIME '10:00'", "CAST((ts) AS TIME) = TIME '10:00'")]
    #[case("time::varchar", "(ts)::varchar")]
    #[case("CASE time WHEN ts THEN time END", "CASE (ts) WHEN (time) THEN (ts) END")]
    #[case("time IN (ts, 1) AND time BETWEEN 1 AND ts", "(ts) IN ((time), 1) AND (ts) BETWEEN 1 AND (time)")]
    fn names_of_columns_are_replaced(#[case] sql: &str, #[case] expected: &str) {
        assert_eq!(aliases().expand("x", sql).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_replaced_is_refused() {
        let expand = |sql: &str| aliases().expand("x", sql).unwrap_err().to_string();
        assert_eq!(
            expand("a[1].time"),
            "expression `x` is not one SQL expression: a common column stands where only a column can, in `a[1].time`"
        );
        assert!(expand("time time").starts_with("expression `x` is not one SQL expression: it ends before"));
        let wrong = Aliases::new([("time", "1 +")]).unwrap_err().to_string();
        assert!(wrong.starts_with("expression `time` is not one"), "{wrong}");
    }

    #[test]
    fn the_expanded_text_is_bounded() {
        let list = (0..5000).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
        let aliases = Aliases::new([("p", format!("a IN ({list})"))]).unwrap();
        assert!(aliases.expand("x", "p OR p").is_ok());
        for n in [3, 10_000] {
            let error = aliases.expand("x", &format!("f({})", vec!["p"; n].join(","))).unwrap_err();
            assert!(matches!(error, ExpressionError::TooLong { n_bytes: 65_537..200_000, .. }), "{error}");
        }
        let chain = |name: &str| vec![name; 390].join(" + ");
        let deep = Aliases::new([("p", chain("a"))]).unwrap();
        assert!(matches!(
            deep.expand("x", &chain("p")),
            Err(ExpressionError::TooDeep { .. } | ExpressionError::TooLong { .. })
        ));
        assert!(deep.expand("x", "p").is_ok());
    }
}
