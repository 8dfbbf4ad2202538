//! Cells: what a text shows itself to be, and its value under a column type.

use crate::events::ColumnType;

/// What the source says a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Missing.
    Null,
    /// A field of a delimited file: only its spelling tells.
    Spelled,
    /// An integer that fits 64 bits with sign.
    Integer,
    /// Any other number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Text.
    Text,
}

/// The set of kinds seen in a column, from which its type follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    const INTEGER: u8 = 1;
    const NUMBER: u8 = 2;
    const BOOLEAN: u8 = 4;
    const TEXT: u8 = 8;

    /// Takes note of a cell.
    pub(crate) fn add(&mut self, kind: Kind, text: &str) {
        // No cell can change the type of a column once it is text.
        if self.0 & Self::TEXT != 0 {
            return;
        }
        let kind = if kind == Kind::Spelled { spelled(text) } else { kind };
        self.0 |= match kind {
            Kind::Null | Kind::Spelled => 0,
            Kind::Integer => Self::INTEGER,
            Kind::Number => Self::NUMBER,
            Kind::Boolean => Self::BOOLEAN,
            Kind::Text => Self::TEXT,
        };
    }

    /// The narrowest type that keeps every cell; text where nothing was seen.
    pub(crate) fn column_type(self) -> ColumnType {
        match self.0 {
            Self::INTEGER => ColumnType::Integer,
            kinds if kinds != 0 && kinds & !(Self::INTEGER | Self::NUMBER) == 0 => ColumnType::Number,
            Self::BOOLEAN => ColumnType::Boolean,
            _ => ColumnType::Text,
        }
    }
}

/// Kind of a field by its spelling.
///
/// An integer is spelled canonically (`-7`, not `+7` or `-0`). Digits after a leading zero (`007`) are text, since codes
/// and identifiers would lose it. A number is whatever `f64` parses, `inf`, `infinity` and `nan` in any case included.
fn spelled(text: &str) -> Kind {
    let Some(&first) = text.as_bytes().first() else {
        return Kind::Null;
    };
    // Letters that can begin a number or a boolean; most text is told apart here.
    if !matches!(first, b'0'..=b'9' | b'+' | b'-' | b'.' | b'i' | b'I' | b'n' | b'N' | b't' | b'T' | b'f' | b'F') {
        return Kind::Text;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() {
        let padded = digits.len() > 1 && digits.starts_with('0');
        return match text.parse::<i64>() {
            _ if padded => Kind::Text,
            Ok(_) if first != b'+' && text != "-0" => Kind::Integer,
            _ => Kind::Number,
        };
    }
    if text.parse::<f64>().is_ok() {
        Kind::Number
    } else if boolean(text).is_some() {
        Kind::Boolean
    } else {
        Kind::Text
    }
}

/// Value in an integer column; `7.0` is taken for 7 while `f64` is exact (up to 2^53).
pub(crate) fn integer(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        let exact = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
        exact.then_some(number as i64)
    })
}

/// Value in a number column; NaN stands for missing.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Value in a boolean column: `true` or `false` in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["1", "-7", "0"], ColumnType::Integer)]
    #[case(&["9223372036854775807", "-9223372036854775808"], ColumnType::Integer)]
    #[case(&["9223372036854775808"], ColumnType::Number)]
    #[case(&["1", "2.5"], ColumnType::Number)]
    #[case(&["+1"], ColumnType::Number)]
    #[case(&["-0"], ColumnType::Number)]
    #[case(&["1", "inf", "-Infinity", "NaN", "1e5", ".5"], ColumnType::Number)]
    #[case(&["007"], ColumnType::Text)]
    #[case(&["-007"], ColumnType::Text)]
    #[case(&["1", "007"], ColumnType::Text)]
    #[case(&["0.5"], ColumnType::Number)]
    #[case(&["true", "FALSE", "True"], ColumnType::Boolean)]
    #[case(&["true", "1"], ColumnType::Text)]
    #[case(&["1 "], ColumnType::Text)]
    #[case(&["-"], ColumnType::Text)]
    #[case(&["1", "x"], ColumnType::Text)]
    #[case(&["0x1f"], ColumnType::Text)]
    #[case(&["", ""], ColumnType::Text)]
    #[case(&["", "3"], ColumnType::Integer)]
    fn a_column_gets_the_narrowest_type_of_its_spellings(#[case] cells: &[&str], #[case] expected: ColumnType) {
        let mut kinds = Kinds::default();
        for cell in cells {
            kinds.add(Kind::Spelled, cell);
        }
        assert_eq!(kinds.column_type(), expected);
    }

    #[rstest]
    #[case("007", Some(7))]
    #[case("22.0", Some(22))]
    #[case("22.5", None)]
    #[case("1e300", None)]
    #[case("inf", None)]
    #[case("x", None)]
    fn integers_of_a_given_type(#[case] text: &str, #[case] expected: Option<i64>) {
        assert_eq!(integer(text), expected);
    }
}
