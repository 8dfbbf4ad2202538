//! `digit_ratio`: share of digits in a text.

use arrow_array::types::Float64Type;

use super::{FunctionDoc, TextFunction, ratio};

pub(super) const DOC: FunctionDoc = FunctionDoc {
    name: "digit_ratio",
    signature: "digit_ratio(text) -> DOUBLE",
    description: "Share of the characters that are ASCII digits, from 0 to 1; 0 for an empty text.",
};

pub(super) fn function() -> TextFunction<Float64Type> {
    TextFunction::new(DOC, digit_ratio)
}

fn digit_ratio(text: &str) -> f64 {
    let n_digits = text.bytes().filter(u8::is_ascii_digit).count();
    ratio(n_digits, text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::digit_ratio;
    use rstest::rstest;

    #[rstest]
    #[case("", 0.0)]
    #[case("abc", 0.0)]
    #[case("2026", 1.0)]
    #[case("a1b2", 0.5)]
    #[case("é1", 0.5)]
    #[case("٣1", 0.5)] // an Arabic-Indic digit is a character, not an ASCII digit
    fn of_hand_counted_texts(#[case] text: &str, #[case] expected: f64) {
        assert_eq!(digit_ratio(text), expected);
    }
}
