//! Values as the server spells them, brought to the types of events.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};

/// What the text of a type means. The texts are those of `DateStyle` ISO, `TimeZone` UTC and `bytea_output` hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Number,
    Boolean,
    Text,
    /// `char(n)`, filled up with blanks that do not count.
    Padded,
    Bytes,
    /// A time of day, or a date with one; with a time zone the latter is in UTC.
    Time,
    Json,
    Array {
        element: Box<Kind>,
        delimiter: u8,
    },
}

impl Kind {
    /// Kind of a type that every server has under the same number; `None` for others.
    pub(super) fn of_type(type_id: u32) -> Option<Self> {
        Some(match type_id {
            // int8, int2, int4, oid
            20 | 21 | 23 | 26 => Self::Integer,
            // float4, float8, numeric
            700 | 701 | 1700 => Self::Number,
            16 => Self::Boolean,
            // "char", name, text, cidr, inet, varchar, date, interval, timetz, uuid
            18 | 19 | 25 | 650 | 869 | 1043 | 1082 | 1186 | 1266 | 2950 => Self::Text,
            1042 => Self::Padded,
            17 => Self::Bytes,
            // time, timestamp, timestamptz
            1083 | 1114 | 1184 => Self::Time,
            // json, jsonb
            114 | 3802 => Self::Json,
            _ => return None,
        })
    }

    /// Bytes of the longest value on its way, given those of the longest cell.
    pub(super) fn max_bytes(&self, cell: usize) -> usize {
        match self {
            // `\x` and two digits a byte.
            Self::Bytes => 2 + 2 * cell,
            _ => cell,
        }
    }
}

/// The cells of a column of a batch.
pub(super) enum Cells {
    Integer(Int64Builder),
    Number(Float64Builder),
    Boolean(BooleanBuilder),
    Text(StringBuilder),
}

impl Cells {
    pub(super) fn new(kind: &Kind) -> Self {
        match kind {
            Kind::Integer => Self::Integer(Int64Builder::new()),
            Kind::Number => Self::Number(Float64Builder::new()),
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    pub(super) fn push_null(&mut self) {
        match self {
            Self::Integer(cells) => cells.append_null(),
            Self::Number(cells) => cells.append_null(),
            Self::Boolean(cells) => cells.append_null(),
            Self::Text(cells) => cells.append_null(),
        }
    }

    /// Adds a value; NaN stands for missing. `None` if the text is none of its type, which servers do not send.
    pub(super) fn push(&mut self, kind: &Kind, value: &[u8]) -> Option<()> {
        let text = String::from_utf8_lossy(value);
        match self {
            Self::Integer(cells) => cells.append_value(text.parse().ok()?),
            Self::Number(cells) => cells.append_option(Some(text.parse::<f64>().ok()?).filter(|x| !x.is_nan())),
            Self::Boolean(cells) => cells.append_value(boolean(&text)?),
            Self::Text(cells) => cells.append_value(spelled(kind, text)?),
        }
        Some(())
    }

    pub(super) fn finish(self) -> ArrayRef {
        match self {
            Self::Integer(mut cells) => Arc::new(cells.finish()),
            Self::Number(mut cells) => Arc::new(cells.finish()),
            Self::Boolean(mut cells) => Arc::new(cells.finish()),
            Self::Text(mut cells) => Arc::new(cells.finish()),
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "t" => Some(true),
        "f" => Some(false),
        _ => None,
    }
}

fn spelled<'a>(kind: &Kind, text: Cow<'a, str>) -> Option<Cow<'a, str>> {
    Some(match kind {
        Kind::Padded => Cow::Owned(text.trim_end_matches(' ').to_owned()),
        Kind::Bytes => Cow::Owned(bytes(&text)?),
        Kind::Time => Cow::Owned(time(&text)),
        Kind::Array { element, delimiter } => match array_as_json(element, *delimiter, &text) {
            Some(json) => Cow::Owned(json),
            // A few types that count as arrays are spelled in ways of their own.
            None => text,
        },
        _ => text,
    })
}

fn bytes(text: &str) -> Option<String> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let digit = |b: u8| char::from(b).to_digit(16);
    let byte = |pair: &[u8]| Some((digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?) as u8);
    let bytes = digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `2024-05-06 07:08:09.12+00` as `2024-05-06T07:08:09.120Z`, as the columns of Parquet files are spelled: a fraction
/// has three or six digits. What is no such time, as `infinity` and years before Christ, stays as it is.
fn time(text: &str) -> String {
    let (text, zone) = text.strip_suffix("+00").map_or((text, ""), |text| (text, "Z"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let clock = whole.len().checked_sub(8).and_then(|start| whole.get(start..));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_clock = clock.is_some_and(|clock| clock.split(':').all(|part| part.len() == 2 && is_digits(part)));
    if !is_clock || fraction.len() > 6 || !is_digits(fraction) {
        return format!("{text}{}", if zone.is_empty() { "" } else { "+00" });
    }
    let mut out = whole.replacen(' ', "T", 1);
    if !fraction.is_empty() {
        let n_digits = if fraction.len() <= 3 { 3 } else { 6 };
        out.push_str(&format!(".{fraction:0<n_digits$}"));
    }
    out + zone
}

/// `{1,NULL,"a b"}` as JSON; `None` if it is no array.
fn array_as_json(element: &Kind, delimiter: u8, text: &str) -> Option<String> {
    // Arrays that do not count from 1 say so first: `[0:1]={a,b}`.
    let text = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len() + 16);
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&b) = bytes.get(at) {
        match b {
            b'{' => {
                depth += 1;
                out.push('[');
                at += 1;
            }
            b'}' => {
                depth = depth.checked_sub(1)?;
                out.push(']');
                at += 1;
                if depth == 0 {
                    break;
                }
            }
            _ if depth == 0 => return None,
            b if b == delimiter => {
                out.push(',');
                at += 1;
            }
            b'"' => {
                let mut value = Vec::new();
                at += 1;
                loop {
                    match *bytes.get(at)? {
                        b'"' => break,
                        b'\\' => {
                            value.push(*bytes.get(at + 1)?);
                            at += 2;
                        }
                        b => {
                            value.push(b);
                            at += 1;
                        }
                    }
                }
                at += 1;
                push_json(element, &String::from_utf8_lossy(&value), &mut out)?;
            }
            _ => {
                let n = bytes[at..].iter().position(|&b| b == delimiter || b == b'}')?;
                match text.get(at..at + n)? {
                    "NULL" => out.push_str("null"),
                    value => push_json(element, value, &mut out)?,
                }
                at += n;
            }
        }
    }
    (depth == 0 && at == bytes.len()).then_some(out)
}

/// Adds an element: numbers, booleans and JSON as they are, all else as text.
fn push_json(kind: &Kind, value: &str, out: &mut String) -> Option<()> {
    match kind {
        Kind::Integer | Kind::Number if value == "NaN" => out.push_str("null"),
        // As `row_as_json` spells what JSON has no number for.
        Kind::Number if value.ends_with("Infinity") => {
            out.push_str(if value.starts_with('-') { "\"-inf\"" } else { "\"inf\"" });
        }
        Kind::Integer | Kind::Number => out.push_str(value),
        Kind::Boolean => out.push_str(if boolean(value)? { "true" } else { "false" }),
        Kind::Json => out.push_str(value),
        kind => {
            let text = spelled(kind, Cow::Borrowed(value))?;
            out.push_str(&serde_json::Value::String(text.into_owned()).to_string());
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("2024-05-06 07:08:09", "2024-05-06T07:08:09")]
    #[case("2024-05-06 07:08:09+00", "2024-05-06T07:08:09Z")]
    #[case("2024-05-06 07:08:09.1+00", "2024-05-06T07:08:09.100Z")]
    #[case("2024-05-06 07:08:09.123", "2024-05-06T07:08:09.123")]
    #[case("2024-05-06 07:08:09.1234", "2024-05-06T07:08:09.123400")]
    #[case("12024-05-06 07:08:09", "12024-05-06T07:08:09")]
    #[case("07:08:09.5", "07:08:09.500")]
    #[case("0044-03-15 12:00:00 BC", "0044-03-15 12:00:00 BC")]
    #[case("0044-03-15 12:00:00+00 BC", "0044-03-15 12:00:00+00 BC")]
    #[case("infinity", "infinity")]
    #[case("-infinity", "-infinity")]
    #[case("", "")]
    fn times(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(time(text), expected);
    }

    #[rstest]
    #[case("\\x", Some(""))]
    #[case("\\x6869", Some("hi"))]
    #[case("\\xff", Some("\u{fffd}"))]
    #[case("\\x6", None)]
    #[case("hi", None)]
    fn byte_strings(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(bytes(text).as_deref(), expected);
    }

    #[rstest]
    #[case(Kind::Integer, "{}", Some("[]"))]
    #[case(Kind::Integer, "{1,NULL,-3}", Some("[1,null,-3]"))]
    #[case(Kind::Integer, "{{1,2},{3,4}}", Some("[[1,2],[3,4]]"))]
    #[case(Kind::Integer, "[0:1]={1,2}", Some("[1,2]"))]
    #[case(Kind::Number, "{1.5,NaN,Infinity,-Infinity}", Some(r#"[1.5,null,"inf","-inf"]"#))]
    #[case(Kind::Boolean, "{t,f,NULL}", Some("[true,false,null]"))]
    #[case(Kind::Text, r#"{a,"b c","NULL","\"q\"","\\","{}",""}"#, Some(r#"["a","b c","NULL","\"q\"","\\","{}",""]"#))]
    #[case(Kind::Text, "{ü,漢字}", Some(r#"["ü","漢字"]"#))]
    #[case(Kind::Time, r#"{"2024-05-06 07:08:09+00"}"#, Some(r#"["2024-05-06T07:08:09Z"]"#))]
    #[case(Kind::Bytes, r#"{"\\x6869"}"#, Some(r#"["hi"]"#))]
    #[case(Kind::Json, r#"{"{\"a\": 1}"}"#, Some(r#"[{"a": 1}]"#))]
    #[case(Kind::Integer, "1 2 3", None)]
    #[case(Kind::Text, "{a", None)]
    #[case(Kind::Text, "{a}b", None)]
    #[case(Kind::Text, "{\"a", None)]
    fn arrays(#[case] element: Kind, #[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(array_as_json(&element, b',', text).as_deref(), expected);
    }

    #[test]
    fn values_that_servers_do_not_send_are_no_panic() {
        for (kind, text) in [(Kind::Integer, "x"), (Kind::Number, ""), (Kind::Boolean, "true"), (Kind::Bytes, "\\xé")]
        {
            assert!(Cells::new(&kind).push(&kind, text.as_bytes()).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "[{}\\[\\]=,:\"\\\\a1é.+ -]{0,20}") {
            array_as_json(&Kind::Text, b',', &text);
            time(&text);
            bytes(&text);
        }
    }
}
