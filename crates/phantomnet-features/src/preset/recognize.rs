//! Which preset fits events whose names and first values are known.

use glob::Pattern;

use super::Preset;

/// By what one form of a sensor's log is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Signs {
    /// Columns that must all be there.
    pub(super) columns: Vec<String>,
    /// Columns of which one must be there, unless none is listed.
    pub(super) any_of: Vec<String>,
    /// Columns that must have values, each of which some glob of theirs matches.
    pub(super) values: Vec<(String, Vec<Pattern>)>,
}

impl Signs {
    /// How much they ask for; 0 is no sign at all.
    fn n(&self) -> usize {
        self.columns.len() + usize::from(!self.any_of.is_empty()) + self.values.len()
    }

    fn are_met(&self, columns: &[&str], sample: &dyn Fn(&str) -> Vec<String>) -> bool {
        // Blanks around a name are left out when the preset is used.
        let is_there = |name: &String| columns.iter().any(|column| column.trim() == name);
        self.n() > 0
            && self.columns.iter().all(is_there)
            && (self.any_of.is_empty() || self.any_of.iter().any(is_there))
            && self.values.iter().all(|(column, globs)| {
                let values = if is_there(column) { sample(column) } else { Vec::new() };
                let mut values = values.iter().filter(|value| !value.is_empty()).peekable();
                values.peek().is_some() && values.all(|value| globs.iter().any(|glob| glob.matches(value)))
            })
    }
}

impl Preset {
    /// The most that is asked for by signs which the events meet.
    fn n_signs_met(&self, columns: &[&str], sample: &dyn Fn(&str) -> Vec<String>) -> Option<usize> {
        self.signs.iter().filter(|signs| signs.are_met(columns, sample)).map(Signs::n).max()
    }

    /// Whether events with these columns look like the preset's sensor. `sample` gives some values of a column as text,
    /// from anywhere in the events; a few hundred are plenty.
    pub fn recognizes(&self, columns: &[&str], sample: &dyn Fn(&str) -> Vec<String>) -> bool {
        self.n_signs_met(columns, sample).is_some()
    }
}

/// The preset of the program that recognizes events; of several the one that asks for most, then the first by name.
///
/// Arguments as those of [`Preset::recognizes`].
pub fn recognize(columns: &[&str], sample: &dyn Fn(&str) -> Vec<String>) -> Option<&'static Preset> {
    let fitting = Preset::builtin().iter().filter_map(|preset| Some((preset.n_signs_met(columns, sample)?, preset)));
    // Of equals the last counts.
    fitting.rev().max_by_key(|(n, _)| *n).map(|(_, preset)| preset)
}
