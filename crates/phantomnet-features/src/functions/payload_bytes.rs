//! `payload_bytes`: size of a text.

use arrow_array::types::Int64Type;

use super::{FunctionDoc, TextFunction};

pub(super) const DOC: FunctionDoc = FunctionDoc {
    name: "payload_bytes",
    signature: "payload_bytes(text) -> BIGINT",
    description: "Number of bytes of the text in UTF-8; 0 for an empty text.",
};

pub(super) fn function() -> TextFunction<Int64Type> {
    TextFunction::new(DOC, payload_bytes)
}

fn payload_bytes(text: &str) -> i64 {
    text.len() as i64
}

#[cfg(test)]
mod tests {
    use super::payload_bytes;
    use rstest::rstest;

    #[rstest]
    #[case("", 0)]
    #[case("GET /", 5)]
    #[case("naïve", 6)]
    #[case("日本", 6)]
    #[case("💥", 4)]
    fn counts_bytes(#[case] text: &str, #[case] expected: i64) {
        assert_eq!(payload_bytes(text), expected);
    }
}
