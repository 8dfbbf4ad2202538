//! `payload_length`: characters of a text.

use arrow_array::types::Int64Type;

use super::{FunctionDoc, TextFunction};

pub(super) const DOC: FunctionDoc = FunctionDoc {
    name: "payload_length",
    signature: "payload_length(text) -> BIGINT",
    description: "Number of Unicode characters; 0 for an empty text. Bytes that were not UTF-8 count as the U+FFFD \
                  each was read as.",
};

pub(super) fn function() -> TextFunction<Int64Type> {
    TextFunction::new(DOC, payload_length)
}

fn payload_length(text: &str) -> i64 {
    // Most payloads are, and that is quicker seen than characters are counted.
    let n = if text.is_ascii() { text.len() } else { text.chars().count() };
    n as i64
}

#[cfg(test)]
mod tests {
    use super::payload_length;
    use rstest::rstest;

    #[rstest]
    #[case("", 0)]
    #[case("GET /", 5)]
    #[case("naïve", 5)]
    #[case("日本", 2)]
    #[case("e\u{301}", 2)] // a letter and its accent are two characters
    #[case("a\0\u{fffd}", 3)]
    fn counts_characters(#[case] text: &str, #[case] expected: i64) {
        assert_eq!(payload_length(text), expected);
    }
}
