//! Cells: what a text shows itself to be, and its value under a column type.

use std::borrow::Cow;

use crate::events::ColumnType;

/// What the source says a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Missing.
    Null,
    /// A field of a delimited file: only its spelling tells.
    Spelled,
    /// An integer that fits 64 bits with sign, spelled canonically.
    Integer,
    /// Any other number.
    Number,
    /// Any other number, as JSON writes it.
    JsonNumber,
    /// `true` or `false`.
    Boolean,
    /// Text.
    Text,
    /// An object or array of JSON, as it stands in the source.
    Json,
}

impl Kind {
    /// Whether the text may be a canonical integer.
    pub(crate) fn may_be_integer(self) -> bool {
        matches!(self, Self::Integer | Self::Spelled)
    }
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
    pub(crate) fn add(&mut self, kind: Kind, text: &[u8]) {
        // No cell can change the type of a column once it is text.
        if self.0 & Self::TEXT != 0 {
            return;
        }
        let kind = if kind == Kind::Spelled { spelled(text) } else { kind };
        self.0 |= match kind {
            Kind::Null | Kind::Spelled => 0,
            Kind::Integer => Self::INTEGER,
            Kind::Number | Kind::JsonNumber => Self::NUMBER,
            Kind::Boolean => Self::BOOLEAN,
            Kind::Text | Kind::Json => Self::TEXT,
        };
    }

    pub(crate) fn add_integer(&mut self) {
        self.0 |= Self::INTEGER;
    }

    pub(crate) fn add_text(&mut self) {
        self.0 |= Self::TEXT;
    }

    /// Takes note of what another part of the column has.
    pub(crate) fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether nothing but NULL was seen.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
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
pub(crate) fn spelled(text: &[u8]) -> Kind {
    let Some(&first) = text.first() else {
        return Kind::Null;
    };
    // Letters that can begin a number or a boolean; most text is told apart here.
    if !matches!(first, b'0'..=b'9' | b'+' | b'-' | b'.' | b'i' | b'I' | b'n' | b'N' | b't' | b'T' | b'f' | b'F') {
        return Kind::Text;
    }
    if canonical_integer(text).is_some() {
        return Kind::Integer;
    }
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if digits.iter().all(u8::is_ascii_digit) && !digits.is_empty() {
        return if digits.len() > 1 && digits.starts_with(b"0") { Kind::Text } else { Kind::Number };
    }
    let text = std::str::from_utf8(text).unwrap_or_default();
    if text.parse::<f64>().is_ok() {
        Kind::Number
    } else if boolean(text).is_some() {
        Kind::Boolean
    } else {
        Kind::Text
    }
}

/// Value of an integer of 64 bits that is spelled as it would be written: no `+`, no leading zero, no `-0`.
pub(crate) fn canonical_integer(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let &first = digits.first()?;
    if first == b'0' {
        return (digits.len() == 1 && !is_negative).then_some(0);
    }
    if digits.len() > 18 {
        // May not fit: rare enough for the long way.
        if digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    let mut value = 0_i64;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if is_negative { -value } else { value })
}

/// What stands in a column of text for a cell. Integers keep their digits; other numbers and values of JSON are written in one way, however
/// the source spells them.
pub(crate) fn as_text(kind: Kind, text: &str) -> Cow<'_, str> {
    match kind {
        Kind::JsonNumber if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => text.into(),
        Kind::JsonNumber => text.parse::<f64>().map_or(text.into(), |number| format!("{number:?}").into()),
        // What cannot be taken apart, being too deep, stays as it is.
        Kind::Json => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => value.to_string().into(),
            Err(_) => text.into(),
        },
        _ => text.into(),
    }
}

/// Whether a text is a value of a type.
pub(crate) fn parses(text: &str, column_type: ColumnType) -> bool {
    match column_type {
        ColumnType::Integer => integer(text).is_some(),
        ColumnType::Number => number(text).is_some(),
        ColumnType::Boolean => boolean(text).is_some(),
        ColumnType::Text => true,
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
    decimal(text.as_bytes()).or_else(|| text.parse().ok())
}

/// Value of a plain decimal fraction, `-12.5`, of few enough digits that the value follows from one division.
///
/// Integers up to 2^53 and powers of ten up to 10^22 are exact in `f64`, so that their quotient is rounded only once and is the
/// number that is nearest (W. D. Clinger, How to Read Floating Point Numbers Accurately, 1990).
pub(crate) fn decimal(text: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // At most 15 digits and the point.
    if digits.len() > POWERS.len() {
        return None;
    }
    let mut integer = 0_u64;
    let mut point = None;
    for (i, &byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            integer = integer * 10 + u64::from(digit);
        } else if byte == b'.' && point.is_none() {
            point = Some(i);
        } else {
            return None;
        }
    }
    let n_after = digits.len() - point.filter(|&i| i > 0)? - 1;
    let value = integer as f64 / POWERS[n_after];
    (n_after > 0).then_some(if is_negative { -value } else { value })
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
    use proptest::prelude::*;
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
            kinds.add(Kind::Spelled, cell.as_bytes());
        }
        assert_eq!(kinds.column_type(), expected);
    }

    #[rstest]
    #[case("0.5", Some(0.5))]
    #[case("-12.125", Some(-12.125))]
    #[case("007.50", Some(7.5))]
    #[case("0.1", Some(0.1))]
    #[case("99999999.9999999", Some(99_999_999.999_999_9))]
    #[case("0.00000000000001", Some(1e-14))]
    #[case("123456789.12345678", None)]
    #[case("12", None)]
    #[case("1.", None)]
    #[case(".5", None)]
    #[case("1.2.3", None)]
    #[case("1.5e3", None)]
    #[case("+1.5", None)]
    #[case("-", None)]
    #[case("", None)]
    fn plain_decimals(#[case] text: &str, #[case] expected: Option<f64>) {
        assert_eq!(decimal(text.as_bytes()), expected);
    }

    #[test]
    fn a_negative_zero_keeps_its_sign() {
        assert_eq!(decimal(b"-0.0").map(f64::to_bits), Some((-0.0_f64).to_bits()));
    }

    proptest! {
        #[test]
        fn a_plain_decimal_is_the_number_it_spells(text in "-?[0-9]{1,9}\\.[0-9]{1,9}") {
            if let Some(value) = decimal(text.as_bytes()) {
                prop_assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits());
                prop_assert_eq!(spelled(text.as_bytes()), Kind::Number);
            }
        }
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
