//! Text to syntax tree.
//!
//! An expression may come out of a model folder that somebody else made. Planning recurses over the tree, and the parser
//! tries some constructs twice, so that a fault inside of twenty nested casts is found a million times. So both are
//! bounded on the tokens, before a tree exists.

use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::ExpressionError;
use crate::error::quoted;

/// Longest expression, in bytes: room for a list of some thousand names.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// Most tokens on the way from the outermost level to any place of the text, those between two commas counted anew.
/// The tree is never deeper: `a + b + c` is as deep as it has operators. Chains of 500 terms have been evaluated on the
/// 2 MiB stack of a thread, unoptimised.
const MAX_DEPTH: usize = 800;

/// Most levels of parentheses and prefix operators.
const MAX_NESTING: usize = 50;

/// Most of [`RETRIED`] on the way to any place, each of which may double the parser's work, `POSITION` more than that.
const MAX_RETRIED: usize = 8;

/// Words whose argument the parser reads again when it was no argument of theirs: as that of a function of this name.
const RETRIED: &[Keyword] = &[
    Keyword::ARRAY,
    Keyword::CASE,
    Keyword::CAST,
    Keyword::CEIL,
    Keyword::CONVERT,
    Keyword::CURRENT_DATE,
    Keyword::CURRENT_TIME,
    Keyword::CURRENT_TIMESTAMP,
    Keyword::EXTRACT,
    Keyword::FLOOR,
    Keyword::INTERVAL,
    Keyword::LOCALTIME,
    Keyword::LOCALTIMESTAMP,
    Keyword::MATCH,
    Keyword::NOT,
    Keyword::OVERLAY,
    Keyword::POSITION,
    Keyword::SAFE_CAST,
    Keyword::SUBSTR,
    Keyword::SUBSTRING,
    Keyword::TRY_CAST,
    Keyword::TRY_CONVERT,
];

/// Parses exactly one expression.
pub(super) fn parse(name: &str, sql: &str) -> Result<Expr, ExpressionError> {
    if sql.len() > MAX_BYTES {
        return Err(ExpressionError::TooLong { name: name.to_owned(), n_bytes: sql.len(), limit: MAX_BYTES });
    }
    let tokens = tokens(name, sql)?;
    let too_deep = |limit| ExpressionError::TooDeep { name: name.to_owned(), limit };
    let deepest = deepest(&tokens);
    if deepest.tokens > MAX_DEPTH {
        return Err(too_deep(MAX_DEPTH));
    }
    if deepest.retried > MAX_RETRIED {
        return Err(too_deep(MAX_RETRIED));
    }
    let syntax = |reason: &str| syntax_error(name, reason);
    let mut parser =
        Parser::new(&GenericDialect {}).with_recursion_limit(MAX_NESTING).with_tokens_with_locations(tokens);
    let tree = parser.parse_expr().map_err(|e| match e {
        ParserError::RecursionLimitExceeded => too_deep(MAX_NESTING),
        ParserError::TokenizerError(reason) | ParserError::ParserError(reason) => syntax(&reason),
    })?;
    let rest = parser.peek_token();
    if rest.token == Token::EOF {
        return Ok(tree);
    }
    let start = rest.span.start;
    Err(syntax(&format!("it ends before `{}`{start}", rest.token)))
}

/// The words and signs of a text, and the blanks and comments between them.
pub(super) fn tokens(name: &str, sql: &str) -> Result<Vec<TokenWithSpan>, ExpressionError> {
    Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().map_err(|e| syntax_error(name, &e.to_string()))
}

fn syntax_error(name: &str, reason: &str) -> ExpressionError {
    ExpressionError::Syntax { name: name.to_owned(), reason: quoted(reason) }
}

/// What lies on the way from the outermost level to a place of the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Path {
    /// An upper bound of the depth of the tree.
    tokens: usize,
    /// Of these, words of [`RETRIED`] before a bracket that is open, and every `INTERVAL`, which needs none.
    retried: usize,
}

/// The largest counts of any path of `tokens`.
fn deepest(tokens: &[TokenWithSpan]) -> Path {
    let (mut deepest, mut path) = (Path::default(), Path::default());
    // Of each open bracket, the path inside it and the words to take off when it closes.
    let mut open: Vec<(Path, usize)> = Vec::new();
    let mut follows_retried = false;
    for token in tokens.iter().map(|t| &t.token).filter(|t| !matches!(t, Token::Whitespace(_))) {
        match token {
            Token::Comma => path = open.last().map_or(Path::default(), |(inside, _)| *inside),
            Token::RParen | Token::RBracket | Token::RBrace => {
                if let Some((inside, n_words)) = open.pop() {
                    path = Path { retried: inside.retried - n_words, ..inside };
                }
            }
            _ => path.tokens += 1,
        }
        if matches!(token, Token::LParen | Token::LBracket | Token::LBrace) {
            path.retried += usize::from(follows_retried);
            open.push((path, usize::from(follows_retried)));
        }
        follows_retried = matches!(token, Token::Word(word) if RETRIED.contains(&word.keyword));
        path.retried += usize::from(matches!(token, Token::Word(word) if word.keyword == Keyword::INTERVAL));
        deepest.tokens = deepest.tokens.max(path.tokens);
        deepest.retried = deepest.retried.max(path.retried);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("a", 1, 0)]
    #[case("a + b", 3, 0)]
    #[case("f(a, b, c)", 3, 0)] // f ( c
    #[case("f(a) + g(b)", 6, 0)] // f ( + g ( b
    #[case("x IN (1, 2, 3, 4)", 4, 0)]
    #[case("))))", 0, 0)]
    #[case("CAST(a AS INT) + CAST(b AS INT)", 8, 1)] // CAST ( + CAST ( b AS INT
    #[case("CAST(CAST(a AS INT) AS INT)", 7, 2)]
    #[case("NOT a AND NOT (b OR NOT(c))", 10, 2)]
    #[case("a[1][2][3]", 5, 0)] // a [ [ [ 3
    #[case("INTERVAL INTERVAL '1'", 3, 2)]
    fn counts_along_paths(#[case] sql: &str, #[case] n_tokens: usize, #[case] retried: usize) {
        let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().unwrap();
        assert_eq!(deepest(&tokens), Path { tokens: n_tokens, retried });
    }
}
