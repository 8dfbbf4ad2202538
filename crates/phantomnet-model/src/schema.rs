//! The input contract of a model: which features, in which order, of which kind, and the classes.

use serde::{Deserialize, Serialize};

/// Largest number of values a [`Dictionary`] keeps, so that a code fits a byte beside "unseen".
pub const MAX_CATEGORIES: usize = 254;

/// How a feature's numbers are to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeatureKind {
    /// A quantity; order matters.
    Number,
    /// 0.0 or 1.0.
    Boolean,
    /// A string, encoded as its code in the dictionary; order does not matter.
    Category {
        /// The values seen in training.
        dictionary: Dictionary,
    },
}

impl FeatureKind {
    /// `number`, `boolean` or `category`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Category { .. } => "category",
        }
    }
}

/// Values of a categorical feature, and their codes.
///
/// The code of `values[i]` is `i + 1`. Code 0 is *unseen*: a value that training did not meet, or met
/// too rarely to be among the [`MAX_CATEGORIES`] most frequent ones. A missing value has no code; it is NaN.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dictionary {
    values: Vec<String>,
}

/// Code of a value outside the dictionary.
pub const UNSEEN: f32 = 0.0;

impl Dictionary {
    /// Learns the dictionary of a column: its most frequent values, at most [`MAX_CATEGORIES`],
    /// ties by the lesser string, kept in string order.
    pub fn learn<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut counts = std::collections::BTreeMap::<&str, u64>::new();
        for value in values.flatten() {
            *counts.entry(value).or_default() += 1;
        }
        Self::of_counts(counts.into_iter())
    }

    /// As [`learn`](Self::learn), from different values with the number of times that each came.
    pub fn of_counts<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> Self {
        let mut by_count: Vec<(&str, u64)> = counts.collect();
        by_count.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        by_count.truncate(MAX_CATEGORIES);
        let mut values: Vec<String> = by_count.into_iter().map(|(v, _)| v.to_owned()).collect();
        values.sort_unstable();
        Self { values }
    }

    /// Rebuilds a dictionary from its stored values. `None` if they are not sorted, repeat or are too many.
    pub fn from_values(values: Vec<String>) -> Option<Self> {
        let sorted = values.windows(2).all(|w| w[0] < w[1]);
        (sorted && values.len() <= MAX_CATEGORIES).then_some(Self { values })
    }

    /// The values, in the order of their codes from 1 on.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Number of codes, the one for unseen values included.
    pub fn n_codes(&self) -> usize {
        self.values.len() + 1
    }

    /// Code of a value: NaN for missing, [`UNSEEN`] outside the dictionary.
    pub fn encode(&self, value: Option<&str>) -> f32 {
        match value {
            None => f32::NAN,
            Some(v) => match self.values.binary_search_by(|x| x.as_str().cmp(v)) {
                Ok(i) => (i + 1) as f32,
                Err(_) => UNSEEN,
            },
        }
    }
}

/// One column of the feature matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Name, unique in its schema.
    pub name: String,
    /// How its numbers are to be read.
    #[serde(flatten)]
    pub kind: FeatureKind,
}

/// The features of a model, in the order of its matrix columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeatureSchema {
    features: Vec<Feature>,
}

impl FeatureSchema {
    /// A schema of these features, in this order.
    pub fn new(features: Vec<Feature>) -> Self {
        Self { features }
    }

    /// A schema of plain numbers.
    pub fn numbers<S: AsRef<str>>(names: &[S]) -> Self {
        Self::new(names.iter().map(|n| Feature { name: n.as_ref().to_owned(), kind: FeatureKind::Number }).collect())
    }

    /// The features in matrix order.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Number of features.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Whether there is no feature.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }
}

/// The values a label can take. A class is referred to by its index everywhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classes {
    /// Names, unique, at least one. Sorted for string labels; `benign`, `attack` for boolean ones.
    pub names: Vec<String>,
    /// With two classes, the one whose probability is the score of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<usize>,
}

impl Classes {
    /// The classes of a boolean label: `false` is `benign`, `true` is `attack`, the positive class.
    pub fn boolean() -> Self {
        Self { names: vec!["benign".into(), "attack".into()], positive: Some(1) }
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no class, which no valid value has.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_string_order_and_keep_missing_apart() {
        let d = Dictionary::learn([Some("udp"), Some("tcp"), None, Some("udp"), Some("icmp")].into_iter());
        assert_eq!(d.values(), ["icmp", "tcp", "udp"]);
        assert_eq!(d.encode(Some("icmp")), 1.0);
        assert_eq!(d.encode(Some("udp")), 3.0);
        assert_eq!(d.encode(Some("sctp")), UNSEEN);
        assert!(d.encode(None).is_nan());
    }

    #[test]
    fn the_rarest_values_are_dropped_when_there_are_too_many() {
        let values: Vec<String> = (0..300).map(|i| format!("v{i:03}")).collect();
        // Every value once, the last fifty twice: those stay, then the lesser strings fill up.
        let twice = values[250..].iter();
        let d = Dictionary::learn(values.iter().chain(twice).map(|v| Some(v.as_str())));
        assert_eq!(d.values().len(), MAX_CATEGORIES);
        assert_eq!(d.encode(Some("v204")), UNSEEN);
        assert_ne!(d.encode(Some("v203")), UNSEEN);
        assert_ne!(d.encode(Some("v299")), UNSEEN);
    }

    #[test]
    fn stored_values_must_be_sorted_and_distinct() {
        assert!(Dictionary::from_values(vec!["b".into(), "a".into()]).is_none());
        assert!(Dictionary::from_values(vec!["a".into(), "a".into()]).is_none());
        assert!(Dictionary::from_values(vec!["a".into(), "b".into()]).is_some());
    }
}
