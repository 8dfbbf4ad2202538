//! The crate from outside: hostile names and arbitrary values.

mod arbitrary;
mod hostile;
mod page;
