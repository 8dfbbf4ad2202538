//! Hostile text made safe to show.

/// The first `max_chars` characters, with control, invisible and direction-changing ones escaped; `…` where cut.
pub(crate) fn visible(text: &str, max_chars: usize) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == max_chars {
            out.push('…');
            break;
        }
        match c {
            '\'' | '"' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}

/// The beginning of a raw line: at most 200 characters of output, escapes counted.
pub(crate) fn excerpt(line: &[u8]) -> String {
    const MAX_CHARS: usize = 200;
    let head = String::from_utf8_lossy(&line[..line.len().min(4 * MAX_CHARS)]);
    let mut out = visible(&head, MAX_CHARS);
    if let Some((cut, _)) = out.char_indices().nth(MAX_CHARS) {
        out.truncate(cut);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unprintable_is_left() {
        assert_eq!(visible("a\u{1b}[31m\u{202e}\n\"ü\"", 99), r#"a\u{1b}[31m\u{202e}\n"ü""#);
        assert_eq!(visible("abc", 2), "ab…");
    }

    #[test]
    fn an_excerpt_is_bounded_whatever_it_holds() {
        assert_eq!(excerpt(&[0x1b; 5000]).chars().count(), 200);
        assert_eq!(excerpt(b"\xff"), "\u{fffd}");
    }
}
