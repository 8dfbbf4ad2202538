//! `token_count`: words of a text.

use arrow_array::types::Int64Type;

use super::{FunctionDoc, TextFunction};

pub(super) const DOC: FunctionDoc = FunctionDoc {
    name: "token_count",
    signature: "token_count(text) -> BIGINT",
    description: "Number of tokens: longest runs of alphanumeric characters (by Unicode) and `_`; 0 for an empty text.",
};

pub(super) fn function() -> TextFunction<Int64Type> {
    TextFunction::new(DOC, token_count)
}

fn token_count(text: &str) -> i64 {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|token| !token.is_empty()).count() as i64
}

#[cfg(test)]
mod tests {
    use super::token_count;
    use rstest::rstest;

    #[rstest]
    #[case("", 0)]
    #[case(" ;--", 0)]
    #[case("uname -a", 2)]
    #[case("GET /etc/passwd_old HTTP/1.1", 6)]
    #[case("naïve 日本", 2)]
    fn counts_runs(#[case] text: &str, #[case] expected: i64) {
        assert_eq!(token_count(text), expected);
    }
}
