//! `special_ratio`: share of punctuation, symbols and controls in a text.

use arrow_array::types::Float64Type;

use super::{FunctionDoc, TextFunction, ratio};

pub(super) const DOC: FunctionDoc = FunctionDoc {
    name: "special_ratio",
    signature: "special_ratio(text) -> DOUBLE",
    description: "Share of the characters that are neither alphanumeric nor white space by Unicode, from 0 to 1; 0 \
                  for an empty text.",
};

pub(super) fn function() -> TextFunction<Float64Type> {
    TextFunction::new(DOC, special_ratio)
}

fn special_ratio(text: &str) -> f64 {
    let (mut n_special, mut n) = (0, 0);
    for c in text.chars() {
        n += 1;
        n_special += usize::from(!c.is_alphanumeric() && !c.is_whitespace());
    }
    ratio(n_special, n)
}

#[cfg(test)]
mod tests {
    use super::special_ratio;
    use rstest::rstest;

    #[rstest]
    #[case("", 0.0)]
    #[case("select 1", 0.0)]
    #[case("' OR", 0.25)]
    #[case("<?>\0", 1.0)]
    #[case("日本語!", 0.25)]
    #[case("a_b\u{a0}", 0.25)] // the underscore is special, the no-break space is white space
    fn of_hand_counted_texts(#[case] text: &str, #[case] expected: f64) {
        assert_eq!(special_ratio(text), expected);
    }
}
