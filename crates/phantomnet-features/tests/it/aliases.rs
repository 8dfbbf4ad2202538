//! Named sub-expressions.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use phantomnet_features::{Aliases, Expression};
use proptest::prelude::*;

use super::batch;

/// Expressions over columns, and then over aliases of their names.
const TEXTS: &[&str] =
    &["a", "coalesce(a, b, '-')", "CASE WHEN n > 3 THEN a /* é */ ELSE upper(b) END", "a || '(' || b"];
const NUMBERS: &[&str] = &["n", "payload_length(a) + n", "n - 1 -- less\n", "-n", "CASE WHEN a = b THEN 1 ELSE n END"];

fn cell() -> impl Strategy<Value = Option<String>> {
    prop_oneof![Just(None), "[a1é'( ]{0,4}".prop_map(Some)]
}

/// A number made of the columns `t`, `u` (texts) and `k` (a number). No list holds a column: of `c IN ('a', c)`, with `c` for
/// `coalesce(a, b, '-')`, the engine says false.
fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![Just("k"), Just("\"k\""), Just("3"), Just("payload_length(t)"), Just("token_count(\"u\")")];
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
        let text = prop_oneof![Just("t"), Just("u"), Just("lower(t)"), Just("t || u"), Just("'t'")];
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} + {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}\t- {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} *\n{b}")),
            inner.clone().prop_map(|a| format!("- ({a})")),
            (text, inner.clone()).prop_map(|(t, a)| format!("coalesce(payload_length({t}), {a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!(
                "CASE WHEN {a} BETWEEN {b} AND k OR t = u OR u IN ('a', '') THEN {c} ELSE k END"
            )),
        ]
    })
}

fn evaluate(sql: &str, events: &RecordBatch) -> ArrayRef {
    Expression::compile("x", sql, &events.schema()).unwrap().evaluate(events).unwrap()
}

proptest! {
    #[test]
    fn an_alias_is_a_column_computed_first(
        rows in prop::collection::vec((cell(), cell(), prop::option::of(-3_i64..9)), 1..8),
        (t, apart) in (0..TEXTS.len(), 1..TEXTS.len()),
        k in 0..NUMBERS.len(),
        sql in number(),
    ) {
        let raw = batch(vec![
            ("a", Arc::new(rows.iter().map(|r| r.0.as_deref()).collect::<StringArray>()) as ArrayRef),
            ("b", Arc::new(rows.iter().map(|r| r.1.as_deref()).collect::<StringArray>())),
            ("n", Arc::new(rows.iter().map(|r| r.2).collect::<Int64Array>())),
        ]);
        let named = [("t", TEXTS[t]), ("u", TEXTS[(t + apart) % TEXTS.len()]), ("k", NUMBERS[k])];
        let computed = batch(named.iter().map(|(name, sql)| (*name, evaluate(sql, &raw))).collect());

        let expanded = Aliases::new(named).unwrap().expand("x", &sql).unwrap();
        prop_assert_eq!(evaluate(&expanded, &raw).to_data(), evaluate(&sql, &computed).to_data(), "{}", expanded);
        // Without aliases nothing is touched; and what aliases stand for is not looked at again.
        prop_assert_eq!(Aliases::default().expand("x", &sql).unwrap(), sql);
        prop_assert_eq!(Aliases::new([("x", "a")]).unwrap().expand("x", &expanded).unwrap(), expanded);
    }

    #[test]
    fn any_text_is_expanded_or_refused(sql in "[abk0-9'\"(),.*+<>=:;$?@~|\n/\\[\\] -]{0,40}|\\PC{0,30}") {
        let aliases = Aliases::new([("a", "b + 1"), ("b", "a"), ("k", "'x'")]).unwrap();
        match aliases.expand("x", &sql) {
            Ok(expanded) => prop_assert!(expanded == sql || expanded.contains('(')),
            Err(error) => prop_assert!(!error.to_string().chars().any(char::is_control)),
        }
    }
}
