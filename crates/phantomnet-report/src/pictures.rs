//! One file a kind of picture: its input and the function that draws it.
//!
//! Inputs are taken as they come: values that are not numbers are left out and the picture says so; a picture without
//! anything to show says why.

pub(crate) mod confusion;
pub(crate) mod curves;
pub(crate) mod folds;
pub(crate) mod importance;
pub(crate) mod latency;
pub(crate) mod reliability;
pub(crate) mod scores;

use crate::visible::one_line;

/// A name as it stands in a description.
fn short(name: &str) -> String {
    one_line(name, 60)
}

/// What a picture says about values it left out; empty when there are none.
fn left_out(n: usize, what: &str) -> String {
    if n == 0 { String::new() } else { format!("{what} left out because they are not finite numbers: {n}") }
}
