//! Where an object of JSON ends that is broken.
//!
//! One object on a line costs its line, whatever is in it. Where objects stand side by side on a line, or one over many lines, what
//! comes after a broken one is told by the signs below, none of which is inside of a string of a sound object: so a broken object
//! costs neither those beside it nor more than one rejection. Bytes are looked at once, up to the end that is found.

use memchr::memchr;

use crate::source::json::{JsonError, Member, blanks, member, skip};

/// Longest key by which the next object is known.
const MAX_KEY_BYTES: usize = 256;

/// Bytes that may stand between two strings.
const MAX_BETWEEN: usize = 64;

/// Objects of a list that are looked at to tell what they are part of.
const MAX_ELEMENTS: usize = 64;

/// Brackets that are open in a broken object, at most: a bound on what hostile nesting can cost.
const MAX_OPEN: usize = 1024;

/// How a broken object, or what stands where one is expected, ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Before this byte.
    At(usize),
    /// With its line.
    OfLine,
    /// Not to be told before more of the text is there.
    Pending,
}

/// The search for the end of something broken that is longer than a record may be.
#[derive(Debug, Clone)]
pub(crate) enum Search {
    Object(Brackets),
    /// It ends with its line.
    Line,
}

/// The end of a broken object that begins at `start`, and the search for one that ends further on; `text` ends where nothing more is
/// looked at.
///
/// - `ended`: nothing comes after the text.
/// - `lookahead`: bytes by which the next object is told, at most.
/// - `in_document`: objects are those of a list in another object.
pub(crate) fn end_of_object(
    text: &[u8],
    start: usize,
    terminator: u8,
    ended: bool,
    lookahead: usize,
    in_document: bool,
) -> (End, Search) {
    match end_of_indented(text, start, terminator, ended) {
        End::OfLine => {
            let mut brackets = Brackets::of(text, start, lookahead, in_document);
            let end = brackets.close(text, &mut (start + 1), terminator, ended);
            (end, Search::Object(brackets))
        }
        end => (end, Search::Line),
    }
}

/// Whether the object around a list whose `]` is before a place ends on the line: that of a document does, other than an object in it.
fn ends_document(text: &[u8], mut at: usize, terminator: u8, ended: bool) -> Option<bool> {
    let unknown = ended.then_some(false);
    loop {
        at = within_line(text, at, terminator);
        match text.get(at) {
            None => return ended.then_some(true),
            Some(&byte) if byte == terminator => return Some(true),
            Some(b',') => at += 1,
            Some(b'"') => match member(text, at) {
                Ok(end) => at = end,
                Err(JsonError::Incomplete) => return unknown,
                Err(_) => return Some(false),
            },
            Some(b'}') => {
                let after = within_line(text, at + 1, terminator);
                return text.get(after).map_or(ended.then_some(true), |&byte| Some(byte == terminator || byte == b'}'));
            }
            Some(_) => return Some(false),
        }
    }
}

/// The end of a value that is no object and stands between those of a list: before the next comma or bracket.
pub(crate) fn end_of_element(text: &[u8], start: usize, terminator: u8, ended: bool) -> End {
    match skip(text, start, 1) {
        Err(JsonError::Incomplete) if !ended => return End::Pending,
        Ok(end) => match is_boundary(text, end, terminator, ended) {
            None => return End::Pending,
            Some(true) => return End::At(end),
            Some(false) => {}
        },
        Err(_) => {}
    }
    let mut at = start;
    loop {
        match text.get(at) {
            None if ended => return End::OfLine,
            None => return End::Pending,
            Some(&byte) if byte == terminator => return End::OfLine,
            Some(b',' | b']') => match is_boundary(text, at, terminator, ended) {
                None => return End::Pending,
                Some(true) => return End::At(at),
                Some(false) => {}
            },
            _ => {}
        }
        at += 1;
    }
}

/// Whether a record may end at a place: a comma and another object, a bracket, another object, or the end of the line follow.
/// `None`: not to be told yet.
fn is_boundary(text: &[u8], at: usize, terminator: u8, ended: bool) -> Option<bool> {
    let mut at = within_line(text, at, terminator);
    if text.get(at) == Some(&b',') {
        at = within_line(text, at + 1, terminator);
    } else if text.get(at) == Some(&b']') {
        return Some(true);
    }
    match text.get(at) {
        Some(b'{') => begins_object(text, at, ended),
        Some(&byte) => Some(byte == terminator),
        None => ended.then_some(true),
    }
}

/// Whether an object at a place is empty or has a first key. `None`: not to be told yet.
fn begins_object(text: &[u8], at: usize, ended: bool) -> Option<bool> {
    let unknown = ended.then_some(false);
    let rest = &text[blanks(text, at + 1)..];
    match rest.first() {
        None => unknown,
        Some(b'}') => Some(true),
        Some(b'"') => match memchr(b'"', &rest[1..rest.len().min(MAX_KEY_BYTES)]) {
            None if rest.len() < MAX_KEY_BYTES => unknown,
            None => Some(false),
            Some(length) => text_after(rest, length + 2).map_or(unknown, |&byte| Some(byte == b':')),
        },
        Some(_) => Some(false),
    }
}

/// The first place from `at` on that is not blank, or the end of the line.
fn within_line(text: &[u8], mut at: usize, terminator: u8) -> usize {
    while let Some(&byte @ (b' ' | b'\t' | b'\r' | b'\n')) = text.get(at)
        && byte != terminator
    {
        at += 1;
    }
    at
}

/// The end of an object whose members stand on lines of their own, further in than its last: with the first bracket that closes
/// further out. If another opens before, or none comes, the object was cut off: it ends before the first line further out.
fn end_of_indented(text: &[u8], start: usize, terminator: u8, ended: bool) -> End {
    let mut line = within_line(text, start + 1, terminator);
    match text.get(line) {
        None if !ended => return End::Pending,
        Some(&byte) if byte == terminator => line += 1,
        _ => return End::OfLine,
    }
    let (mut indent, mut further_out) = (None, None);
    loop {
        let first = within_line(text, line, terminator);
        let is_further_out = |indent| first - line < indent;
        let end = memchr(terminator, &text[first..]).map(|length| first + length);
        match (text.get(first), indent) {
            (None, _) if !ended => return End::Pending,
            (None, None) => return End::OfLine,
            (None, Some(_)) => return End::At(further_out.unwrap_or(text.len())),
            (Some(&byte), _) if byte == terminator => {}
            (Some(b'"'), None) if first > line => match end.or(ended.then_some(text.len())) {
                None => return End::Pending,
                // What is left of another line tells nothing of how far in the members are.
                Some(end) => indent = Member::at(&text[..end], first).map(|_| first - line),
            },
            (Some(_), None) => return End::OfLine,
            (Some(b'}'), Some(indent)) if is_further_out(indent) => return End::At(first + 1),
            (Some(b'{' | b'[' | b']'), Some(indent)) if is_further_out(indent) => {
                return End::At(further_out.unwrap_or(line));
            }
            (Some(_), Some(indent)) if is_further_out(indent) => further_out = further_out.or(Some(line)),
            (Some(_), Some(_)) => {}
        }
        line = match end {
            Some(end) => end + 1,
            None if ended => text.len(),
            None => return End::Pending,
        };
    }
}

/// The brackets of a broken object, as far as it has been looked at. Those of a broken object need not fit.
#[derive(Debug, Clone)]
pub(crate) struct Brackets {
    /// What the object begins with.
    first_key: Option<Vec<u8>>,
    /// Bytes after a place that are looked at to tell what it is, at most.
    lookahead: usize,
    in_document: bool,
    /// Those that are open.
    open: Vec<u8>,
    in_string: bool,
    /// What that string ends with of what stands between strings.
    between: Vec<u8>,
    is_list_broken: bool,
    /// The last byte that is not blank.
    before: u8,
}

impl Brackets {
    /// Those of the object at a place, after its first.
    fn of(text: &[u8], object: usize, lookahead: usize, in_document: bool) -> Self {
        let first_key = first_key(text, object).map(<[u8]>::to_vec);
        let (open, between) = (vec![b'{'], Vec::new());
        let (in_string, is_list_broken) = (false, false);
        Self { first_key, lookahead, in_document, open, in_string, between, is_list_broken, before: b'{' }
    }

    /// The end of the object by its brackets, or before another that stands where none can be or begins with the same key (any, if
    /// that is what is broken), on the line that it begins on. Looks from `at` on, which is moved to what has not been looked at.
    pub(crate) fn close(&mut self, text: &[u8], at: &mut usize, terminator: u8, ended: bool) -> End {
        loop {
            let Some(&byte) = text.get(*at) else {
                return if ended { End::OfLine } else { End::Pending };
            };
            if byte == terminator || self.open.len() > MAX_OPEN {
                return End::OfLine;
            }
            let end = text.len().min(at.saturating_add(self.lookahead));
            let (text, ended) = (&text[..end], ended || end < text.len());
            match self.is_before_next(text, *at, terminator, ended) {
                None => return End::Pending,
                Some(true) => return End::At(*at),
                Some(false) => {}
            }
            match byte {
                b'\\' if self.in_string => match text.get(*at + 1) {
                    Some(&escaped) => *at += usize::from(escaped != terminator),
                    None if ended => {}
                    None => return End::Pending,
                },
                b'"' if self.in_string => match text.get(within_line(text, *at + 1, terminator)) {
                    None if !ended => return End::Pending,
                    next => self.end_string(next.is_none_or(|byte| !byte.is_ascii_alphabetic())),
                },
                b'"' => self.in_string = true,
                _ if self.in_string && b" \t,:{}[].+-0123456789".contains(&byte) => {
                    self.between.extend((self.between.len() < MAX_BETWEEN).then_some(byte));
                }
                _ if self.in_string => self.between.clear(),
                b'}' if self.open.len() < 2 && self.open != b"[" => {
                    match is_boundary(text, *at + 1, terminator, ended) {
                        None => return End::Pending,
                        Some(true) => return End::At(*at + 1),
                        Some(false) => self.bracket(byte),
                    }
                }
                _ => self.bracket(byte),
            }
            if !matches!(byte, b' ' | b'\t' | b'\r') {
                self.before = byte;
            }
            *at += 1;
        }
    }

    fn bracket(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' => self.open.push(byte),
            // With it ends what was not closed in the list.
            b']' => self.open.truncate(self.open.iter().rposition(|&it| it == b'[').unwrap_or(self.open.len())),
            // Either the list was not closed, or an object of it not opened.
            b'}' if self.open.last() == Some(&b'[') => self.is_list_broken = true,
            b'}' => drop(self.open.pop()),
            _ => {}
        }
    }

    /// A quote in a string ends it, unless a word follows: then a quote before is missing or too many, and this one begins a
    /// string. What looked like the end of the one before stands between the two.
    fn end_string(&mut self, is_end: bool) {
        let between = std::mem::take(&mut self.between);
        if !is_end {
            between.into_iter().for_each(|byte| self.bracket(byte));
        }
        self.in_string = !is_end;
    }

    /// Whether the next object begins at a place. `None`: not to be told yet.
    fn is_before_next(&self, text: &[u8], at: usize, terminator: u8, ended: bool) -> Option<bool> {
        if text[at] != b'{' || matches!(self.before, b':' | b'[' | b'"') {
            return Some(false);
        }
        // Where no object can be, any is the next.
        let is_out_of_place = self.in_string || self.before == b',' && (self.is_list_broken || self.open == b"{");
        let has_first_key = match &self.first_key {
            Some(key) => has_key(text, at, key, ended)?,
            None => false,
        };
        let could_be = match is_out_of_place {
            true => begins_object(text, at, ended)?,
            false => has_first_key && (self.is_list_broken || self.open.last() != Some(&b'[')),
        };
        if !could_be {
            return Some(false);
        }
        match skip(text, at, 1) {
            Ok(end) if has_first_key => is_boundary(text, end, terminator, ended),
            Ok(end) => Some(
                is_boundary(text, end, terminator, ended)?
                    && is_outermost(text, end, terminator, ended, self.in_document)?,
            ),
            Err(JsonError::Incomplete) if !ended => None,
            Err(_) => Some(false),
        }
    }
}

/// Whether an object that ends at a place is none of a list inside of another object, as far as what follows on the line tells.
/// `None`: not to be told yet.
fn is_outermost(text: &[u8], mut at: usize, terminator: u8, ended: bool, in_document: bool) -> Option<bool> {
    let is_end = |at: usize| match text.get(at) {
        Some(&byte) => Some(byte == terminator),
        None => ended.then_some(true),
    };
    for _ in 0..MAX_ELEMENTS {
        at = within_line(text, at, terminator);
        match text.get(at) {
            Some(b',') => at = within_line(text, at + 1, terminator),
            Some(b']') if in_document => return ends_document(text, at + 1, terminator, ended),
            Some(b']') => return is_end(within_line(text, at + 1, terminator)),
            _ => {}
        }
        if text.get(at) != Some(&b'{') {
            return is_end(at);
        }
        at = match skip(text, at, 1) {
            Ok(end) => end,
            Err(JsonError::Incomplete) if !ended => return None,
            Err(_) => return Some(true),
        };
    }
    Some(true)
}

/// What the object at a place begins with: a key as it is written, with its quotes; of a broken key only its first.
fn first_key(text: &[u8], object: usize) -> Option<&[u8]> {
    let rest = &text[blanks(text, object + 1)..];
    let key = rest.strip_prefix(b"\"")?;
    let whole = memchr(b'"', &key[..key.len().min(MAX_KEY_BYTES - 1)]).map(|length| &rest[..length + 2]);
    Some(whole.filter(|key| text_after(rest, key.len()) == Some(&b':')).unwrap_or(b"\""))
}

/// Whether the object at a place begins with a key. `None`: not to be told yet.
fn has_key(text: &[u8], object: usize, key: &[u8], ended: bool) -> Option<bool> {
    let unknown = ended.then_some(false);
    let rest = &text[blanks(text, object + 1)..];
    if rest.len() < key.len() && key.starts_with(rest) {
        return unknown;
    }
    match rest.starts_with(key) && key.len() > 1 {
        true => text_after(rest, key.len()).map_or(unknown, |&byte| Some(byte == b':')),
        false => Some(rest.starts_with(key)),
    }
}

fn text_after(text: &[u8], at: usize) -> Option<&u8> {
    text.get(blanks(text, at))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Where the object ends that begins at `<`, by where `>` stands; without it, at the end of the line.
    #[rstest]
    #[case::bad_value(r#"[{"a":1},<{"a":nope}>,{"a":2}]"#)]
    #[case::no_colon(r#"<{"a" 1}>,{"a":2}]"#)]
    #[case::side_by_side(r#"<{"a":1,}>{"a":2}"#)]
    #[case::last_of_list(r#"<{"a":1,}> ]"#)]
    #[case::nested(r#"<{"id":1 "l":[{"id":2},{"id":3}],"o":{"id":4}}>,{"id":5}]"#)]
    #[case::quote_lost(r#"<{"a":"x,"b":"y"}>,{"a":"z","b":"w"}]"#)]
    #[case::quote_added(r#"<{"a":"x"x","b":"y"}>,{"a":"z","b":"w"}]"#)]
    #[case::quote_lost_before_a_list(r#"<{"id":1,"x":"y,"l":[{"id":2},{"id":3}]}>,{"id":4}]"#)]
    #[case::quote_added_before_a_list(r#"<{"id": 1, "x": ""y", "n": 5, "l": [{"id": 2}, {"id": 3}]}>, {"id": 4}]"#)]
    #[case::brace_lost(r#"<{"a":{"b":1},>{"a":{"b":2}},{"a":{"b":3}}]"#)]
    #[case::brace_added(r#"<{"a":{"b":1}},"c":2}>,{"a":{"b":2}}]"#)]
    #[case::bracket_lost(r#"<{"a":1,"l":[1,2},>{"a":2}]"#)]
    #[case::inner_brace_lost(r#"<{"a":1,"l":["b":2}],"c":3}>,{"a":2}]"#)]
    #[case::inner_brace_not_closed(r#"<{"a":1,"l":[{"b":1,{"b":2}],"c":3}>,{"a":2}]"#)]
    #[case::bracket_added(r#"<{"a":1],"l":2}>,{"a":2}]"#)]
    #[case::braces_in_strings(r#"<{"a":nope,"b":"}}\"}"}>,{"a":2}]"#)]
    #[case::cut_off_before_another(r#"<{"b":2,"m":["x","y>{"a":3,"m":"x"}"#)]
    #[case::quote_lost_before_another(r#"<{"b":2,"m":"x, >{"a":3,"m":"x"},{"a":4,"m":"x"}]"#)]
    #[case::brace_lost_before_another(r#"<{"b":{"c":1},>{"a":3},{"a":4}]"#)]
    #[case::first_key_broken(r#"<{"a:1,"b":"y"}>,{"a":"z","b":"w"}]"#)]
    #[case::cut_off(r#"<{"time":1,"msg":"ab>{"time":2,"msg":"x"}"#)]
    #[case::unescaped(r#"<{"time":1,"raw":"x {"time":2} y"}"#)]
    #[case::one_a_line(r#"<{"a":"x}"#)]
    #[case::text_after(r#"<{"a":nope} and more"#)]
    #[case::no_key("<{!}>,{\"a\":1}")]
    #[case::indented(
        "[\n  <{\n    \"a\": nope,\n    \"b\": {\n      \"c\": 1\n    }\n  }>,\n  {\n    \"a\": 1\n  }\n]"
    )]
    #[case::indentation_broken("  <{\n    \"a\": 1,\nx   \"b\": 2,\n    \"c\": 3\n  }>,\n")]
    #[case::text_after_indented("<{\n  \"a\": \"x\n>some text\n{\n  \"a\": 1\n}")]
    #[case::indented_and_cut_off("<{\n  \"a\": \"x\n  \"b\"\n>{\n  \"a\": 1\n}")]
    #[case::rest_of_a_line("  <{\n  \"y\",\n    \"q\": 2\n  }>,\n  {\n    \"a\": 6\n  }\n")]
    #[case::not_indented("<{\n\"a\": nope\n}")]
    #[case::stray_brace("<{\n{\"a\":1}\n")]
    #[case::stray_brace_of_an_indented_list("  <{\n  {\"a\":1},\n")]
    fn a_broken_object_ends_where_the_next_can_begin(#[case] marked: &str) {
        let plain = marked.replace(['<', '>'], "");
        let text = plain.as_bytes();
        let start = marked.find('<').unwrap();
        let expected = marked.find('>').map_or(End::OfLine, |end| End::At(end - 1));
        assert_eq!(end_of_object(text, start, b'\n', true, 1000, false).0, expected);
        // As long as it is not to be told it is pending, and once it is told it stays.
        for length in start + 1..text.len() {
            let (found, search) = end_of_object(&text[..length], start, b'\n', false, 1000, false);
            assert!(found == End::Pending || found == expected, "{found:?} of {:?}", &plain[..length]);
            // The search goes on where it stopped.
            if let (End::Pending, Search::Object(_)) = (found, search) {
                let (mut brackets, mut at) = (Brackets::of(text, start, 1000, false), start + 1);
                assert_eq!(brackets.close(&text[..length], &mut at, b'\n', false), End::Pending);
                assert_eq!(brackets.close(text, &mut at, b'\n', true), expected, "after {:?}", &plain[..at]);
            }
        }
    }

    #[rstest]
    #[case("<null>,{\"a\":1}]")]
    #[case("<[1,{\"a\":1}]>,{\"a\":1}]")]
    #[case("<\"a, {b\"> ]")]
    #[case("<oops>,{\"a\":1}]")]
    #[case("<a, b>, {\"a\":1}]")]
    #[case("<oops\n{\"a\":1}")]
    fn what_is_no_object_ends_before_the_next_element(#[case] marked: &str) {
        let plain = marked.replace(['<', '>'], "");
        let text = plain.as_bytes();
        let expected = marked.find('>').map_or(End::OfLine, |end| End::At(end - 1));
        assert_eq!(end_of_element(text, 0, b'\n', true), expected);
        for length in 1..text.len() {
            let found = end_of_element(&text[..length], 0, b'\n', false);
            assert!(found == End::Pending || found == expected, "{found:?} of {:?}", &plain[..length]);
        }
    }
}
