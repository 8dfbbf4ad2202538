//! Conditions on runs and their order, in MLflow's syntax:
//!
//! ```text
//! metrics.accuracy > 0.9 AND params."model.kind" = 'random_forest' AND tags.gate != 'passed' AND attributes.run_name LIKE 'night%'
//! metrics.roc_auc DESC, start_time
//! ```
//!
//! A condition is a field, an operator and a value, joined by AND alone. A field is `metrics.KEY`, `params.KEY`, `tags.KEY` or an attribute, with or
//! without `attributes.` before it; a key that is more than letters, digits, `_`, `-`, `.` and `/` stands in backticks or double
//! quotes. Metrics and times are compared with numbers, everything else with text in quotes. A run without the field meets no condition on
//! it, and neither does a metric that is NaN; in an order both come last.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// Conditions that runs must meet, all of them. The default is met by every run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    pub(crate) conditions: Vec<Condition>,
}

/// By what runs are ordered.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub(crate) field: Field,
    pub(crate) is_descending: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(crate) field: Field,
    pub(crate) operator: Operator,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    Metric(String),
    Param(String),
    Tag(String),
    Attribute(Attribute),
}

/// An attribute by its name in MLflow and by that of its column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) column: &'static str,
    pub(crate) is_number: bool,
}

const ATTRIBUTES: [Attribute; 7] = [
    Attribute { name: "run_id", column: "run_uuid", is_number: false },
    Attribute { name: "run_name", column: "name", is_number: false },
    Attribute { name: "status", column: "status", is_number: false },
    Attribute { name: "user_id", column: "user_id", is_number: false },
    Attribute { name: "artifact_uri", column: "artifact_uri", is_number: false },
    Attribute { name: "start_time", column: "start_time", is_number: true },
    Attribute { name: "end_time", column: "end_time", is_number: true },
];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    ILike,
}

/// Longer ones first, so that `<=` is not read as `<`.
const SYMBOLS: [(&str, Operator); 6] = [
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Operator {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Like => "LIKE",
            Self::ILike => "ILIKE",
            symbol => SYMBOLS.iter().find(|(_, operator)| *operator == symbol).map_or("=", |(text, _)| text),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Text(String),
}

impl FromStr for Filter {
    type Err = Error;

    /// # Errors
    /// [`Error::Invalid`] saying where the text is none and what would be.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut reader = Reader { what: "filter", text, at: 0 };
        let mut conditions = Vec::new();
        if !reader.is_at_end() {
            loop {
                conditions.push(reader.condition()?);
                if reader.is_at_end() {
                    break;
                }
                if !reader.skip_word("AND") {
                    return Err(reader.expected("`AND` or the end"));
                }
            }
        }
        Ok(Self { conditions })
    }
}

impl FromStr for Order {
    type Err = Error;

    /// # Errors
    /// [`Error::Invalid`] saying where the text is none and what would be.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut reader = Reader { what: "order", text, at: 0 };
        let field = reader.field()?;
        let is_descending = reader.skip_word("DESC");
        if !is_descending {
            reader.skip_word("ASC");
        }
        if !reader.is_at_end() {
            return Err(reader.expected("`ASC`, `DESC` or the end"));
        }
        Ok(Self { field, is_descending })
    }
}

struct Reader<'a> {
    what: &'static str,
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn is_at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    fn expected(&mut self, expected: &str) -> Error {
        let place = self.rest();
        let place = if place.is_empty() { "its end".to_owned() } else { format!("`{}`", crate::error::shown(place)) };
        Error::Invalid {
            what: self.what,
            value: self.text.to_owned(),
            expected: format!("expected {expected} at {place}"),
        }
    }

    /// Skips a keyword in any letters, if it comes next.
    fn skip_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let is_next = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && !rest[word.len()..].starts_with(is_key_char);
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    /// What stands before a character that ends it, which is skipped.
    fn quoted(&mut self, quote: char) -> Result<&'a str, Error> {
        let rest = &self.text[self.at + 1..];
        let Some(end) = rest.find(quote) else {
            return Err(self.expected(&format!("a closing {quote}")));
        };
        self.at += end + 2;
        Ok(&rest[..end])
    }

    fn field(&mut self) -> Result<Field, Error> {
        let start = self.rest();
        let word: &str = &start[..start.find(|c: char| !c.is_ascii_alphabetic() && c != '_').unwrap_or(start.len())];
        let is_entity = start[word.len()..].starts_with('.');
        let before = self.at;
        self.at += word.len() + usize::from(is_entity);
        let name = if is_entity { self.key()? } else { word.to_owned() };
        let entity = if is_entity { word } else { "attributes" };
        match entity.to_ascii_lowercase().as_str() {
            "metrics" | "metric" => Ok(Field::Metric(name)),
            "params" | "param" | "parameters" | "parameter" => Ok(Field::Param(name)),
            "tags" | "tag" => Ok(Field::Tag(name)),
            "attributes" | "attribute" | "attr" | "run" => {
                let found = ATTRIBUTES.into_iter().find(|attribute| attribute.name == name);
                found.map(Field::Attribute).ok_or_else(|| {
                    self.at = before;
                    let names = ATTRIBUTES.map(|attribute| attribute.name).join("`, `");
                    self.expected(&format!("`metrics.KEY`, `params.KEY`, `tags.KEY`, `{names}`"))
                })
            }
            _ => {
                self.at = before;
                Err(self.expected("`metrics.`, `params.`, `tags.` or `attributes.`"))
            }
        }
    }

    fn key(&mut self) -> Result<String, Error> {
        let rest = &self.text[self.at..];
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '`' | '"')) {
            let key = self.quoted(quote)?;
            if key.contains('`') {
                return Err(self.expected("a key without backticks"));
            }
            return Ok(key.to_owned());
        }
        let end = rest.find(|c| !is_key_char(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.expected("a key"));
        }
        self.at += end;
        Ok(rest[..end].to_owned())
    }

    fn condition(&mut self) -> Result<Condition, Error> {
        let field = self.field()?;
        let operator = self.operator()?;
        let is_number = match &field {
            Field::Metric(_) => true,
            Field::Attribute(attribute) => attribute.is_number,
            Field::Param(_) | Field::Tag(_) => false,
        };
        let is_like = matches!(operator, Operator::Like | Operator::ILike);
        let is_order = !is_like && !matches!(operator, Operator::Equal | Operator::NotEqual);
        if is_number && is_like || !is_number && is_order {
            let operators =
                if is_number { "`=`, `!=`, `<`, `<=`, `>` or `>=`" } else { "`=`, `!=`, `LIKE` or `ILIKE`" };
            let shown = operator.as_str();
            return Err(self.expected(&format!("{operators} instead of `{shown}` before the value")));
        }
        let value = if is_number { Value::Number(self.number()?) } else { Value::Text(self.string()?) };
        Ok(Condition { field, operator, value })
    }

    fn operator(&mut self) -> Result<Operator, Error> {
        let rest = self.rest();
        if let Some((text, operator)) = SYMBOLS.iter().find(|(text, _)| rest.starts_with(text)) {
            self.at += text.len();
            return Ok(*operator);
        }
        if self.skip_word("LIKE") {
            return Ok(Operator::Like);
        }
        if self.skip_word("ILIKE") {
            return Ok(Operator::ILike);
        }
        Err(self.expected("`=`, `!=`, `<`, `<=`, `>`, `>=`, `LIKE` or `ILIKE`"))
    }

    fn number(&mut self) -> Result<f64, Error> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(rest.len());
        match rest[..end].parse::<f64>() {
            Ok(number) if number.is_finite() => {
                self.at += end;
                Ok(number)
            }
            _ => Err(self.expected("a number")),
        }
    }

    fn string(&mut self) -> Result<String, Error> {
        match self.rest().chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote).map(str::to_owned),
            _ => Err(self.expected("text in quotes")),
        }
    }
}

fn is_key_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/')
}

/// For a server: whatever was typed, in the one way that every release reads.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Condition { field, operator, value }) in self.conditions.iter().enumerate() {
            if i > 0 {
                f.write_str(" AND ")?;
            }
            write!(f, "{field} {} ", operator.as_str())?;
            match value {
                Value::Number(number) => write!(f, "{number}")?,
                Value::Text(text) if text.contains('\'') => write!(f, "\"{text}\"")?,
                Value::Text(text) => write!(f, "'{text}'")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, if self.is_descending { "DESC" } else { "ASC" })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(key) => write!(f, "metrics.`{key}`"),
            Self::Param(key) => write!(f, "params.`{key}`"),
            Self::Tag(key) => write!(f, "tags.`{key}`"),
            Self::Attribute(attribute) => write!(f, "attributes.{}", attribute.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("", "")]
    #[case("metrics.accuracy > 0.9", "metrics.`accuracy` > 0.9")]
    #[case("metric.`log loss`<=1e-3 and params.kind='a b'", "metrics.`log loss` <= 0.001 AND params.`kind` = 'a b'")]
    #[case(r#"param."model.kind" != "it's""#, r#"params.`model.kind` != "it's""#)]
    #[case("tags.mlflow.source.name LIKE 'train%'", "tags.`mlflow.source.name` LIKE 'train%'")]
    #[case(
        "status = 'FINISHED' AND start_time >= 17",
        "attributes.status = 'FINISHED' AND attributes.start_time >= 17"
    )]
    #[case("attr.run_name ilike 'x'", "attributes.run_name ILIKE 'x'")]
    fn filters(#[case] text: &str, #[case] shown: &str) {
        let filter: Filter = text.parse().expect("valid");
        assert_eq!(filter.to_string(), shown);
        assert_eq!(shown.parse::<Filter>().expect("valid"), filter);
    }

    #[rstest]
    #[case("metrics.a", "expected `=`, `!=`, `<`, `<=`, `>`, `>=`, `LIKE` or `ILIKE` at its end")]
    #[case("metrics.a > high", "expected a number at `high`")]
    #[case(
        "metrics.a LIKE 'x'",
        "expected `=`, `!=`, `<`, `<=`, `>` or `>=` instead of `LIKE` before the value at `'x'`"
    )]
    #[case("params.a > 'x'", "expected `=`, `!=`, `LIKE` or `ILIKE` instead of `>` before the value at `'x'`")]
    #[case("params.a = 3", "expected text in quotes at `3`")]
    #[case("params.a = 'x", "expected a closing ' at `'x`")]
    #[case("metrics. > 1", "expected a key at `> 1`")]
    #[case("metrik.a > 1", "expected `metrics.`, `params.`, `tags.` or `attributes.` at `metrik.a > 1`")]
    #[case("accuracy > 1", "expected `metrics.KEY`, `params.KEY`, `tags.KEY`, `run_id`")]
    #[case("metrics.a > 1 OR metrics.b > 1", "expected `AND` or the end at `OR metrics.b > 1`")]
    #[case("metrics.a > NaN", "expected a number at `NaN`")]
    fn what_is_no_filter_says_where(#[case] text: &str, #[case] expected: &str) {
        let message = text.parse::<Filter>().expect_err("no filter").to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[rstest]
    #[case("metrics.roc_auc DESC", "metrics.`roc_auc` DESC")]
    #[case("start_time", "attributes.start_time ASC")]
    #[case("params.`a b` asc", "params.`a b` ASC")]
    fn orders(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(text.parse::<Order>().expect("valid").to_string(), shown);
        assert!(format!("{text} x").parse::<Order>().is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([a-z.`'\"=<>!%0-9 ]|AND|LIKE|metrics|ü){0,24}") {
            if let Ok(filter) = text.parse::<Filter>() {
                // A text with both kinds of quotes cannot come about, so that what is shown can be read.
                prop_assert_eq!(filter.to_string().parse::<Filter>().expect("shown"), filter);
            }
            let _ = text.parse::<Order>();
        }
    }
}
