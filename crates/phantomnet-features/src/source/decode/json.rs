//! Records of JSON: where the next object begins, and what is rejected where none can be read.

use memchr::{memchr, memrchr};

use super::{Decoder, Fields, Span, Step, ends_within_line, n_terminators, too_long};
use crate::source::broken::{End, Search, end_of_element, end_of_object};
use crate::source::json::{self, JsonError, Member, Members};
use crate::source::layout::{BYTE_ORDER_MARK, ENOUGH_JSON, events_in, is_list, lists_before};

impl Decoder {
    /// An object; what stands between objects is blank, commas and brackets.
    pub(super) fn json(&mut self, text: &[u8], at: usize, ended: bool) -> Step {
        if let Some(search) = self.before.search.take() {
            return self.search(text, at, ended, search);
        }
        let Fields::Json { flattener, in_document } = &mut self.fields else { return Step::Nothing(at) };
        let max_record_bytes = self.max_record_bytes;
        let limit_from = |start: usize| text.len().min(start.saturating_add(max_record_bytes));
        let (mut start, mut is_pending) = (at, false);
        loop {
            start = json::blanks(text, start);
            match text.get(start) {
                Some(b',' | b'[') => start += 1,
                // Of a file that was put behind another.
                Some(0xef) if text[start..].starts_with(BYTE_ORDER_MARK) => start += BYTE_ORDER_MARK.len(),
                Some(b']') => {
                    self.before.is_after_list = *in_document;
                    start += 1;
                }
                Some(b'}') if self.before.is_after_list => start += 1,
                // What else the object around the records says of them.
                Some(b'"') if self.before.is_after_list => {
                    let limit = limit_from(start);
                    match json::member(&text[..limit], start) {
                        Ok(next) => {
                            if let Some(list) = Member::at(text, start).filter(|member| is_list(text, member)) {
                                self.tally.add_list(list.name);
                            }
                            start = next;
                        }
                        Err(error) => {
                            is_pending = error == JsonError::Incomplete && limit == text.len() && !ended;
                            break;
                        }
                    }
                }
                _ => break,
            }
        }
        let is_bom_cut = !ended && start < text.len() && BYTE_ORDER_MARK.starts_with(&text[start..]);
        is_pending |= is_bom_cut;
        // Mostly a single line end.
        self.line += n_terminators(&text[at..start], self.terminator);
        let Some(&first) = text.get(start) else { return Step::Nothing(start) };
        if is_pending {
            return Step::Pending(start);
        }
        // A file system that lost power leaves NULs, and the log goes on behind them.
        if first == 0 {
            let limit = limit_from(start);
            let end = start + text[start..limit].iter().take_while(|&&byte| byte == 0).count();
            if end == text.len() && !ended {
                return Step::Pending(start);
            }
            if text.get(end) == Some(&b'{') {
                let span = Span { start, end, next: end, line: self.line };
                return Step::Rejected(span, "expected a JSON object".to_owned());
            }
        }
        if self.before.is_after_list && first == b'{' {
            let head = &text[..text.len().min(start + ENOUGH_JSON)];
            // What it is may depend on what has not arrived yet.
            if head.len() == text.len() && !ended && json::skip(text, start, 1) == Err(JsonError::Incomplete) {
                return Step::Pending(start);
            }
            if let Some(events) = events_in(head, start) {
                self.before.is_after_list = false;
                lists_before(text, start, events).for_each(|name| self.tally.add_list(name));
                self.line += n_terminators(&text[start..events], self.terminator);
                return Step::Nothing(events);
            }
        }
        let limit = limit_from(start);
        let within = &text[..limit];
        if let Some(next) = bulk_action(within, start) {
            self.line += n_terminators(&text[start..next], self.terminator);
            return Step::Nothing(next);
        }
        let outcome = if first == b'{' {
            flattener.flatten(within, start, &mut self.names, &mut self.row)
        } else {
            Err(JsonError::Syntax { what: "expected a JSON object", at: start })
        };
        let (line, in_document) = (self.line, *in_document);
        let error = match outcome {
            Ok(end) => {
                self.tally.n_lossy += u64::from(flattener.is_lossy);
                self.line += n_terminators(&text[start..end], self.terminator);
                return self.finish(text, Span { start, end, next: end, line });
            }
            Err(error) => error,
        };
        let is_all = limit == text.len();
        if error == JsonError::Incomplete && is_all && !ended {
            return Step::Pending(start);
        }
        // Beyond the limit nothing is known: that is an end for what looks for one within.
        let ended_within = ended || !is_all;
        let (found, search) = match first {
            b'{' => end_of_object(within, start, self.terminator, ended_within, max_record_bytes, in_document),
            _ if ends_within_line(&text[..start], self.terminator, self.before.is_within_line) => {
                (end_of_element(within, start, self.terminator, ended_within), Search::Line)
            }
            _ => (End::OfLine, Search::Line),
        };
        let (end, next) = match found {
            End::Pending => return Step::Pending(start),
            End::At(end) if end < limit || is_all => {
                (end - usize::from(text[start..end].ends_with(&[self.terminator])), end)
            }
            End::At(_) | End::OfLine => match self.physical_line(within, start, ended && is_all) {
                Some(line) => line,
                None if is_all => return Step::Pending(start),
                None => {
                    self.before.search = Some(search);
                    (limit, limit)
                }
            },
        };
        self.line += n_terminators(&text[start..next], self.terminator);
        let reason = match error {
            JsonError::Incomplete if !is_all => too_long(self.max_record_bytes),
            JsonError::Incomplete => "the object does not end".to_owned(),
            JsonError::Syntax { what, .. } if first != b'{' => what.to_owned(),
            JsonError::Syntax { what, at } => {
                let from = memrchr(self.terminator, &text[start..at]).map_or(start, |i| start + i + 1);
                match n_terminators(&text[start..at], self.terminator) {
                    0 => format!("{what} at column {}", at - from + 1),
                    n => format!("{what} at column {} of the line {n} below", at - from + 1),
                }
            }
        };
        Step::Rejected(Span { start, end, next, line }, reason)
    }

    /// Goes on in something broken, up to its end.
    fn search(&mut self, text: &[u8], at: usize, ended: bool, mut search: Search) -> Step {
        let mut place = at;
        if let Search::Object(brackets) = &mut search {
            match brackets.close(text, &mut place, self.terminator, ended) {
                End::At(end) if end > at => return Step::Nothing(end),
                End::At(_) => return self.json(text, at, ended),
                End::Pending => {
                    self.before.search = Some(search);
                    return if place > at { Step::Nothing(place) } else { Step::Pending(at) };
                }
                End::OfLine => {}
            }
        }
        match memchr(self.terminator, &text[place..]) {
            Some(length) => {
                self.line += 1;
                Step::Nothing(place + length + 1)
            }
            None => {
                self.before.search = Some(Search::Line).filter(|_| !ended);
                Step::Nothing(text.len())
            }
        }
    }
}

/// Where the action ends that stands at a place: bulk files of Elasticsearch and OpenSearch have one before each document, which says
/// where that was kept, not what happened.
fn bulk_action(text: &[u8], at: usize) -> Option<usize> {
    /// Fields of an action, beside those that begin with `_`.
    const FIELDS: &[&[u8]] = &[
        b"dynamic_templates",
        b"if_primary_term",
        b"if_seq_no",
        b"pipeline",
        b"require_alias",
        b"routing",
        b"version",
        b"version_type",
    ];
    if text.get(at) != Some(&b'{') {
        return None;
    }
    let first = Members::of(text, at).next()?;
    if !matches!(first.name, b"index" | b"create") || !first.begins(text, b'{') {
        return None;
    }
    let action = json::blanks(text, json::skip(text, first.value, 1).ok()?);
    let is_field = |member: Member<'_>| member.name.starts_with(b"_") || FIELDS.contains(&member.name);
    (text.get(action) == Some(&b'}') && Members::of(text, first.value).all(is_field)).then_some(action + 1)
}
