//! What the targets share: how an input chooses its options, and what holds for every stream and every file of events.

mod files;
pub mod models;
mod stream;

pub use files::{check_file, file};
pub use stream::{check_stream, lines_alone};

use std::sync::LazyLock;

use phantomnet_features::{ColumnType, EventSchema};

/// A column of every type, and one with the name that a nested JSON key gets.
pub static SCHEMA: LazyLock<EventSchema> = LazyLock::new(|| {
    let columns = [
        ("id", ColumnType::Integer),
        ("score", ColumnType::Number),
        ("flag", ColumnType::Boolean),
        ("data", ColumnType::Text),
        ("src.port", ColumnType::Integer),
    ];
    EventSchema::new(columns.map(|(name, column_type)| (name.to_owned(), column_type)).to_vec())
        .expect("distinct names")
});

/// The first byte of an input, which chooses options: `@` chooses none of them and keeps seeds readable.
pub fn split_options(input: &[u8]) -> Option<(Choice, &[u8])> {
    let (&byte, rest) = input.split_first()?;
    Some((Choice(byte ^ b'@'), rest))
}

/// Options as the bits of a byte: two for a number, two flags, four for a size.
#[derive(Debug, Clone, Copy)]
pub struct Choice(u8);

impl Choice {
    /// A number below 4.
    pub fn of_four(self) -> usize {
        usize::from(self.0 & 3)
    }

    /// Flag 0 or 1.
    pub fn flag(self, bit: u32) -> bool {
        self.0 >> (2 + bit) & 1 == 1
    }

    /// A size from 1 to 16.
    pub fn size(self) -> usize {
        1 + usize::from(self.0 >> 4)
    }
}

/// Fails when a text would do something to a terminal.
pub fn assert_printable(text: &str) {
    assert!(!text.chars().any(char::is_control), "control characters in {text:?}");
}
