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

/// The first 256 bytes of a record, with control, invisible and direction-changing characters escaped.
pub(crate) fn excerpt(record: &[u8]) -> String {
    const MAX_BYTES: usize = 256;
    let mut head = &record[..record.len().min(MAX_BYTES)];
    // A character that the cut goes through is no part of it.
    if record.len() > MAX_BYTES
        && let Err(error) = std::str::from_utf8(head)
        && error.error_len().is_none()
    {
        head = &head[..error.valid_up_to()];
    }
    visible(&String::from_utf8_lossy(head), usize::MAX)
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
        assert_eq!(excerpt(&[0x1b; 5000]), "\\u{1b}".repeat(256));
        assert_eq!(excerpt("aü".repeat(200).as_bytes()), "aü".repeat(85) + "a");
        assert_eq!(excerpt(b"\xff"), "\u{fffd}");
    }
}
