//! Metrics by flat key, and how class names become parts of keys.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// Metric values by key, in the order they were put in.
///
/// Serialises as a map; formats without NaN (JSON) write an undefined value as null.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricMap(Vec<(String, f64)>);

impl MetricMap {
    /// No metric yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == key).map(|&(_, value)| value)
    }

    /// Puts a value at the end, or in the place of the key's earlier value.
    pub fn insert(&mut self, key: impl Into<String>, value: f64) {
        let key = key.into();
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, f64)> {
        self.0.iter().map(|(key, value)| (key.as_str(), *value))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Extend<(String, f64)> for MetricMap {
    fn extend<I: IntoIterator<Item = (String, f64)>>(&mut self, metrics: I) {
        for (key, value) in metrics {
            self.insert(key, value);
        }
    }
}

impl FromIterator<(String, f64)> for MetricMap {
    fn from_iter<I: IntoIterator<Item = (String, f64)>>(metrics: I) -> Self {
        let mut map = Self::new();
        map.extend(metrics);
        map
    }
}

impl IntoIterator for MetricMap {
    type Item = (String, f64);
    type IntoIter = std::vec::IntoIter<(String, f64)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Serialize for MetricMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, &value)?;
        }
        map.end()
    }
}

/// Longest class name kept in a key; MLflow takes keys of 250 characters, metric name and suffixes included.
const MAX_KEY_PART: usize = 100;

/// A class name as part of a metric key: ASCII letters, digits, `_ - . :` and space stay, all else becomes `_`.
///
/// That is what every MLflow store takes, but for `/`, which MLflow reads as a path and refuses in many places. At most
/// 100 characters are kept; an empty name becomes `_`.
#[must_use]
pub fn key_part(class: &str) -> String {
    if class.is_empty() {
        return "_".to_owned();
    }
    class
        .chars()
        .take(MAX_KEY_PART)
        .map(|c| match c {
            '_' | '-' | '.' | ':' | ' ' => c,
            _ if c.is_ascii_alphanumeric() => c,
            _ => '_',
        })
        .collect()
}

/// A different key part for each class, in the order of the classes.
///
/// Where [`key_part`] gives the same for two classes, or what would be taken for the end of an interval (`recall.lo`),
/// the later gets `_2`, `_3` and so on.
#[must_use]
pub fn class_keys(classes: &[String]) -> Vec<String> {
    let is_bound = |part: &str| matches!(part.rsplit('.').next(), Some("lo" | "hi"));
    let mut keys: Vec<String> = Vec::with_capacity(classes.len());
    for class in classes {
        let part = key_part(class);
        let free = std::iter::once(part.clone())
            .chain((2u32..).map(|n| format!("{part}_{n}")))
            .find(|key| !keys.contains(key) && !is_bound(key))
            .unwrap_or(part);
        keys.push(free);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("attack", "attack")]
    #[case("sqli: union-based 2.0", "sqli: union-based 2.0")]
    #[case("a/b(c)\n\u{1b}", "a_b_c___")]
    #[case("атака", "_____")]
    #[case("", "_")]
    fn key_parts(#[case] class: &str, #[case] part: &str) {
        assert_eq!(key_part(class), part);
    }

    #[rstest]
    #[case(&["a?", "a_", "a!", "a__2"], &["a_", "a__2", "a__3", "a__2_2"])]
    #[case(&["lo", "x.hi", "low"], &["lo_2", "x.hi_2", "low"])]
    fn class_keys_never_collide(#[case] classes: &[&str], #[case] keys: &[&str]) {
        let classes: Vec<String> = classes.iter().map(|&class| class.to_owned()).collect();
        assert_eq!(class_keys(&classes), keys);
    }

    #[test]
    fn long_class_names_are_cut() {
        let classes = ["x".repeat(1_000), "x".repeat(2_000)];
        let keys = class_keys(&classes);
        assert_eq!(keys[0].len(), 100);
        assert_eq!(keys[1], format!("{}_2", keys[0]));
    }

    #[test]
    fn order_is_kept_and_a_key_is_held_once() {
        let mut map = MetricMap::new();
        assert!(map.is_empty());
        map.insert("recall", 0.5);
        map.insert("accuracy", f64::NAN);
        map.insert("recall", 0.75);
        let keys: Vec<&str> = map.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["recall", "accuracy"]);
        assert_eq!(map.get("recall"), Some(0.75));
        assert_eq!(map.get("f1"), None);
        assert_eq!(map.len(), 2);
        let json = serde_json::to_string(&map).unwrap();
        assert_eq!(json, r#"{"recall":0.75,"accuracy":null}"#);
    }
}
