//! What a person should know of records that were read all the same.

use std::collections::BTreeSet;

use crate::source::Format;
use crate::source::excerpt::visible;

/// Lists of a document that are told by name.
const MAX_LISTS: usize = 5;

/// Counts over some records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Records with something else than UTF-8 in them, now U+FFFD.
    pub(crate) n_lossy: u64,
    /// Requests whose body is not as long as they say.
    pub(crate) n_misdeclared: u64,
    /// Names of lists of objects that documents have beside their events.
    other_lists: BTreeSet<String>,
}

impl Tally {
    pub(crate) fn of_lossy(n_lossy: u64) -> Self {
        Self { n_lossy, ..Self::default() }
    }

    /// Takes note of a list of objects that is passed over.
    pub(crate) fn add_list(&mut self, name: &[u8]) {
        self.other_lists.insert(visible(&String::from_utf8_lossy(name), 60));
        self.forget_lists();
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.n_lossy += other.n_lossy;
        self.n_misdeclared += other.n_misdeclared;
        self.other_lists.extend(other.other_lists);
        self.forget_lists();
    }

    /// Keeps the first by name, and one more that says that there are others.
    fn forget_lists(&mut self) {
        while self.other_lists.len() > MAX_LISTS + 1 {
            self.other_lists.pop_last();
        }
    }

    /// The counts that are not 0, in words.
    pub(crate) fn remarks(&self, format: Format) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.n_lossy > 0 {
            let advice = match format {
                Format::Parquet => "",
                Format::Database => "; in a query, `hex(column)` keeps its bytes",
                _ => ", unless `encoding` names what they are, such as `windows-1252`",
            };
            remarks.push(format!("{} records are not UTF-8; what is not is read as U+FFFD{advice}", self.n_lossy));
        }
        if self.n_misdeclared > 0 {
            let n = self.n_misdeclared;
            remarks.push(format!("{n} requests have a body that is not as long as their `Content-Length` says"));
        }
        if !self.other_lists.is_empty() {
            let mut names: Vec<String> =
                self.other_lists.iter().take(MAX_LISTS).map(|name| format!("`{name}`")).collect();
            names.extend((self.other_lists.len() > MAX_LISTS).then(|| "...".to_owned()));
            let names = names.join(", ");
            remarks.push(format!("beside its list of events it has others, which are not read: {names}"));
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_told_by_their_first_names() {
        let mut tally = Tally::default();
        for i in (0..20).rev() {
            let mut more = Tally::default();
            more.add_list(format!("list {i:02}").as_bytes());
            more.add_list(b"list 03\n");
            tally.add(more);
        }
        let expected = "beside its list of events it has others, which are not read: \
                        `list 00`, `list 01`, `list 02`, `list 03`, `list 03\\n`, ...";
        assert_eq!(tally.remarks(Format::JsonLines), [expected]);
    }

    #[test]
    fn advice_is_that_of_the_format() {
        let tally = Tally { n_misdeclared: 2, ..Tally::of_lossy(1) };
        let [lossy, misdeclared] = &*tally.remarks(Format::Http) else { panic!() };
        assert!(lossy.starts_with("1 records are not UTF-8") && lossy.ends_with("such as `windows-1252`"), "{lossy}");
        assert_eq!(misdeclared, "2 requests have a body that is not as long as their `Content-Length` says");
        assert!(Tally::default().remarks(Format::Csv).is_empty());
        assert!(tally.remarks(Format::Database)[0].contains("hex(column)"));
    }
}
