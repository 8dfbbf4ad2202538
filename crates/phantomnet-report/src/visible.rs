//! Characters that act on a reader without being seen, and long strings cut short.

use std::fmt::Write as _;

/// Whether a character is a control, steers text direction, has no width, or is no character at all.
///
/// Line feed and tab count as hidden too: what keeps them says so.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0x00AD | 0x061C | 0x115F | 0x1160 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F
            | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0xE0000..=0xE0FFF)
        || u32::from(c) & 0xFFFE == 0xFFFE
        || (0xFDD0..=0xFDEF).contains(&u32::from(c))
}

/// Writes a hidden character as its Rust escape, such as `\n`, `\x1b` or `\u{202e}`.
pub(crate) fn push_escape(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if u32::from(c) < 0x80 => drop(write!(out, "\\x{:02x}", u32::from(c))),
        c => drop(write!(out, "\\u{{{:x}}}", u32::from(c))),
    }
}

/// One line of at most `max_chars` characters of `text`, an ellipsis where it was cut, hidden characters as escapes.
pub(crate) fn one_line(text: &str, max_chars: usize) -> String {
    let mut line = String::new();
    let mut chars = text.chars();
    for c in chars.by_ref().take(max_chars) {
        if is_hidden(c) {
            push_escape(&mut line, c);
        } else {
            line.push(c);
        }
    }
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("plain", 10, "plain")]
    #[case("plain", 5, "plain")]
    #[case("plain", 4, "plai…")]
    #[case("", 4, "")]
    #[case("a\r\nb\tc", 10, "a\\r\\nb\\tc")]
    #[case("\u{1b}[31mred", 20, "\\x1b[31mred")]
    #[case("abc\u{202e}txt.exe", 20, "abc\\u{202e}txt.exe")]
    #[case("\u{feff}\u{200b}é漢", 20, "\\u{feff}\\u{200b}é漢")]
    #[case("\u{ffff}", 2, "\\u{ffff}")]
    fn hidden_characters_are_shown_and_long_lines_cut(#[case] text: &str, #[case] max: usize, #[case] want: &str) {
        assert_eq!(one_line(text, max), want);
    }
}
