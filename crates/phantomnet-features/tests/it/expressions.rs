//! What `Expression` accepts, refuses and reads.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, NullArray, RecordBatch, StringArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use phantomnet_features::{
    Expression, ExpressionError, FeatureSet, LabelValues, learn_classes, learn_schema, overlaps, to_labels,
};
use phantomnet_model::{Classes, Dictionary, FeatureKind};
use proptest::prelude::*;
use rstest::rstest;

use super::batch;

fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>()))
}

/// Columns of the tests that only compile.
fn events() -> SchemaRef {
    schema(&[
        ("event", DataType::Utf8),
        ("data", DataType::Utf8),
        ("port", DataType::Int64),
        ("Flow Bytes/s", DataType::Float64),
        ("attack.payload.length", DataType::Int64),
    ])
}

#[test]
fn is_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Expression>();
    check::<FeatureSet>();
}

#[rstest]
#[case("payload_length(data)", &["data"])]
#[case("1", &[])]
#[case("'event' = 'data'", &[])] // names in strings
#[case("CASE WHEN event = 'data' THEN port END", &["event", "port"])]
#[case("CAST(event AS VARCHAR) || data::varchar", &["data", "event"])]
#[case("lower(upper(concat(\"event\", 'x'))) IN ('a', data)", &["data", "event"])]
#[case("event IS NULL AND true OR true", &["event"])] // decided without reading it
#[case("coalesce(NULL, 1, port)", &["port"])]
#[case("extract(hour FROM to_timestamp(event))", &["event"])]
#[case("\"Flow Bytes/s\" * attack.payload.length", &["Flow Bytes/s", "attack.payload.length"])]
#[case("port BETWEEN 1 AND \"attack\".\"payload\".length", &["attack.payload.length", "port"])]
#[case("data LIKE event", &["data", "event"])]
#[case("substring(data FROM port FOR 1)", &["data", "port"])]
#[case("trim(event FROM data)", &["data", "event"])]
#[case("NOT (port IS DISTINCT FROM -port)", &["port"])]
fn reads_columns(#[case] sql: &str, #[case] expected: &[&str]) {
    let expression = Expression::compile("x", sql, &events()).unwrap();
    assert_eq!(expression.columns(), expected);
}

#[rstest]
#[case("payload_length(data)", &[])]
#[case("regexp_like(data, 'a+') OR REGEXP_COUNT(data, '[0-9]') > 2", &["regexp_count", "regexp_like"])]
#[case("data ~ '[0-9]+' AND data !~* 'x{2}'", &["!~*", "~"])]
#[case("data ~ 'select'", &[])] // becomes LIKE
#[case("data SIMILAR TO 'a|b'", &["SIMILAR TO"])]
#[case("data = 'regexp_like(1)'", &[])]
fn names_slow_functions(#[case] sql: &str, #[case] expected: &[&str]) {
    assert_eq!(Expression::compile("x", sql, &events()).unwrap().slow_functions(), expected);
}

#[test]
fn hostile_depth_and_length_are_refused() {
    let compile = |sql: &str| Expression::compile("x", sql, &events());
    let chain = |n: usize| vec!["port"; n].join(" + ");
    let deep = compile(&chain(400)).unwrap();
    let one = batch(vec![("event", Arc::new(StringArray::from(vec!["login"])) as ArrayRef)]);
    assert!(matches!(deep.evaluate(&one), Err(ExpressionError::ColumnChanged { .. })));
    let all_null = RecordBatch::try_new(
        events(),
        events().fields().iter().map(|field| arrow_array::new_null_array(field.data_type(), 1)).collect(),
    );
    assert!(deep.evaluate(&all_null.unwrap()).unwrap().is_null(0));

    assert!(matches!(compile(&chain(401)), Err(ExpressionError::TooDeep { .. })));
    assert!(matches!(compile(&chain(9000)), Err(ExpressionError::TooDeep { .. })));
    assert!(matches!(compile(&chain(20_000)), Err(ExpressionError::TooLong { .. })));
    assert!(compile(&format!("{}port{}", "abs(".repeat(40), ")".repeat(40))).is_ok());
    assert!(compile(&format!("{}port{}", "abs(".repeat(60), ")".repeat(60))).is_err());
    for unclosed in [
        "(",
        "abs(",
        "NOT ",
        "- ",
        "[",
        "{",
        "CASE WHEN ",
        "CAST(",
        "x -> ",
        "ARRAY[",
        "INTERVAL ",
        "POSITION(",
        "NOT (",
    ] {
        assert!(compile(&unclosed.repeat(60_000 / unclosed.len())).is_err(), "{unclosed}");
        assert!(compile(&unclosed.repeat(200)).is_err(), "{unclosed}");
    }
    for repeated in
        ["::int", " IS NULL", " NOTNULL", " BETWEEN 1 AND 2", " COLLATE x", "[1]", ".a", " AT TIME ZONE 'UTC'"]
    {
        // Accepted or refused, it must come back.
        let tried = compile(&format!("port{}", repeated.repeat(390)));
        assert!(tried.is_ok_and(|e| e.columns() == ["port"]) || repeated != "::int");
    }
    // Wide is not deep.
    let list = (0..5000).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    assert!(compile(&format!("port IN ({list})")).is_ok());
}

fn feature_set(features: &[(&str, &str)]) -> FeatureSet {
    FeatureSet::compile(features.iter().copied(), &events()).unwrap()
}

#[test]
fn the_leak_guard_names_column_and_both_expressions() {
    let label = Expression::compile("is_attack", "lower(\"event\") IN ('login', 'data', 'port')", &events()).unwrap();
    let clean = feature_set(&[("length", "payload_length(data)"), ("word", "CASE WHEN data = 'event' THEN port END")]);
    assert_eq!(overlaps(&label, &clean), []);

    let leaking = feature_set(&[
        ("length", "payload_length(data)"),
        ("hidden", "CAST(CASE WHEN strpos(concat(data, event), 'x') > 0 THEN 1 ELSE 0 END AS DOUBLE)"),
        ("dead", "event = event OR port > 1"),
    ]);
    let found = overlaps(&label, &leaking);
    assert_eq!(
        found.iter().map(|o| (o.feature.as_str(), o.column.as_str())).collect::<Vec<_>>(),
        [("hidden", "event"), ("dead", "event")]
    );
    assert_eq!(
        found[1].to_string(),
        "feature `dead` reads column `event` that the label `is_attack` is made of: `event = event OR port > 1` and \
         `lower(\"event\") IN ('login', 'data', 'port')`"
    );
}

#[test]
fn feature_sets_have_names_of_their_own() {
    let compile = |features: &[(&str, &str)]| FeatureSet::compile(features.iter().copied(), &events());
    assert_eq!(
        compile(&[("a", "port"), ("a", "data")]).unwrap_err(),
        ExpressionError::DuplicateFeature { name: "a".into() }
    );
    assert_eq!(compile(&[]).unwrap_err(), ExpressionError::NoFeature);
    let error = compile(&[("a", "port"), ("b", "prot")]).unwrap_err();
    assert!(error.to_string().starts_with("expression `b` reads unknown column `prot`"), "{error}");
}

#[test]
fn values_become_a_schema_learned_on_training_rows() {
    let events = batch(vec![
        ("event", Arc::new(StringArray::from(vec![Some("b"), Some("a"), None, Some("c")])) as ArrayRef),
        ("port", Arc::new(Int64Array::from(vec![22, 80, 443, 8080]))),
        ("none", Arc::new(NullArray::new(4))),
    ]);
    let compile = |sql: &str| FeatureSet::compile([("f", sql)], &events.schema()).unwrap();
    let kind = |sql: &str| {
        let features = compile(sql);
        learn_schema(&features, &features.values(&events)?, &[0, 1, 2]).map(|schema| schema.features()[0].kind.clone())
    };
    let dictionary = |values: &[&str]| FeatureKind::Category {
        dictionary: Dictionary::from_values(values.iter().map(|v| (*v).to_owned()).collect()).unwrap(),
    };
    assert_eq!(kind("port"), Ok(FeatureKind::Number));
    assert_eq!(kind("port > 80"), Ok(FeatureKind::Boolean));
    assert_eq!(kind("CAST(port AS DECIMAL(10, 2))"), Ok(FeatureKind::Number));
    assert_eq!(kind("none"), Ok(FeatureKind::Number));
    assert_eq!(kind("event"), Ok(dictionary(&["a", "b"]))); // `c` is on row 3
    assert_eq!(kind("nvl(none, 'x')"), Ok(dictionary(&["x"]))); // a view of strings

    let error = kind("to_timestamp(port)").unwrap_err();
    assert_eq!(error.to_string(), "feature `f` is of type Timestamp(ns); a feature is a number, a boolean or a text");
    assert_eq!(error.hint().unwrap(), "take a number of it: `date_part('hour', t)`, `to_unixtime(t)`");
    let error = kind("named_struct('a', port)").unwrap_err();
    assert_eq!(error.hint().unwrap(), "take a number or a text of it: `x['field']`, `x[1]`");
}

#[test]
fn an_expression_refuses_events_of_another_schema() {
    let batch_of = |columns: Vec<(&'static str, ArrayRef)>| batch(columns);
    let port: ArrayRef = Arc::new(Int64Array::from(vec![22]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["22"]));
    let compiled_for = batch_of(vec![("port", Arc::clone(&port)), ("data", Arc::clone(&text))]);
    let expression = Expression::compile("x", "port + 1", &compiled_for.schema()).unwrap();
    let message = |events: RecordBatch| expression.evaluate(&events).unwrap_err().to_string();

    let same = batch_of(vec![("port", Arc::clone(&port)), ("other", Arc::clone(&port))]);
    assert_eq!(expression.evaluate(&same).unwrap().as_primitive::<Int64Type>().value(0), 23);
    let start = "expression `x` was compiled for column `port` of type Int64, got";
    assert_eq!(message(batch_of(vec![("data", Arc::clone(&text)), ("port", port)])), format!("{start} column `data`"));
    assert_eq!(message(batch_of(vec![("port", text)])), format!("{start} Utf8"));
}

fn label_of(array: ArrayRef) -> (Expression, ArrayRef) {
    let events = batch(vec![("l", array)]);
    let label = Expression::compile("kind", "l", &events.schema()).unwrap();
    let values = label.evaluate(&events).unwrap();
    (label, values)
}

fn integers(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[rstest]
#[case(Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])), None, &["benign", "attack"], Some(1), &[Some(1), None, Some(0)])]
#[case(Arc::new(BooleanArray::from(vec![true])), Some("benign"), &["benign", "attack"], Some(0), &[Some(1)])]
#[case(integers(&[Some(1), Some(0), None]), None, &["benign", "attack"], Some(1), &[Some(1), Some(0), None])]
#[case(integers(&[Some(0)]), None, &["benign", "attack"], Some(1), &[Some(0)])]
#[case(integers(&[Some(10), Some(-1), Some(9)]), None, &["-1", "9", "10"], None, &[Some(2), Some(0), Some(1)])]
#[case(integers(&[Some(1), Some(2)]), Some("1"), &["1", "2"], Some(0), &[Some(0), Some(1)])]
#[case(texts(&[Some("dos"), None, Some("normal"), Some("dos")]), None, &["dos", "normal"], Some(1), &[Some(0), None, Some(1), Some(0)])]
#[case(texts(&[Some("dos"), Some("normal")]), Some("dos"), &["dos", "normal"], Some(0), &[Some(0), Some(1)])]
#[case(texts(&[Some("u2r"), Some("dos"), Some("")]), None, &["", "dos", "u2r"], None, &[Some(2), Some(1), Some(0)])]
#[case(texts(&[Some("dos")]), None, &["dos"], None, &[Some(0)])]
fn labels_become_classes(
    #[case] array: ArrayRef,
    #[case] positive: Option<&str>,
    #[case] names: &[&str],
    #[case] index: Option<usize>,
    #[case] labels: &[Option<u32>],
) {
    let (label, values) = label_of(array);
    let values = LabelValues::of(&values);
    let classes = learn_classes(&label, &values, positive).unwrap();
    assert_eq!(classes.names, names);
    assert_eq!(classes.positive, index);
    assert_eq!(to_labels(&values, &classes).unwrap(), labels);
}

#[rstest]
#[case(texts(&[Some("a"), Some("b")]), Some("c"), "positive class `c` is not a class of label `kind`; classes are `a`, `b`")]
#[case(texts(&[Some("a"), Some("b"), Some("c")]), Some("c"), "a positive class needs a label of two classes; `kind` has `a`, `b`, `c`")]
#[case(texts(&[None, None]), None, "label `kind` has no value on any of 2 events")]
#[case(Arc::new(NullArray::new(3)), None, "label `kind` has no value on any of 3 events")]
#[case(Arc::new(Float64Array::from(vec![1.0])), None, "label `kind` is of type Float64; a label is a boolean, an integer or a text")]
#[case(Arc::new(UInt64Array::from(vec![1])), None, "label `kind` is of type UInt64; a label is a boolean, an integer or a text")]
#[case(Arc::new(Int64Array::from_iter_values(0..101)), None, "label `kind` has more than 100 classes, such as `0`, `1`, `2`")]
fn labels_that_are_no_classes(#[case] array: ArrayRef, #[case] positive: Option<&str>, #[case] expected: &str) {
    let (label, values) = label_of(array);
    let values = LabelValues::of(&values);
    assert_eq!(learn_classes(&label, &values, positive).unwrap_err().to_string(), expected);
}

#[test]
fn a_label_value_unknown_to_training_is_named() {
    let names = |names: &[&str]| Classes { names: names.iter().map(|n| (*n).to_owned()).collect(), positive: None };
    let message =
        |array: ArrayRef, classes: &Classes| to_labels(&LabelValues::of(&array), classes).unwrap_err().to_string();
    assert_eq!(
        message(texts(&[None, Some("\u{1b}x")]), &names(&["a", "b"])),
        "label of row 1 is `\\u{1b}x`; classes are `a`, `b`"
    );
    assert_eq!(
        message(integers(&[Some(2)]), &Classes::boolean()),
        "label of row 0 is `2`; classes are `benign`, `attack`"
    );
    assert_eq!(
        message(Arc::new(BooleanArray::from(vec![true])), &names(&["a", "b"])),
        "label of row 0 is `attack`; classes are `a`, `b`"
    );
    assert!(
        to_labels(&LabelValues::of(&(Arc::new(Float64Array::from(vec![1.0])) as ArrayRef)), &names(&["1"])).is_err()
    );
    assert_eq!(
        to_labels(&LabelValues::of(&(Arc::new(NullArray::new(2)) as ArrayRef)), &names(&["a"])).unwrap(),
        [None, None]
    );
}

/// Expressions that exercise scalars, lazy branches and text kernels; all defined for every value.
const TOTAL: &[&str] = &[
    "payload_length(data)",
    "shannon_entropy(upper(data))",
    "special_ratio(coalesce(data, event, '-'))",
    "token_count('a b') + port",
    "CASE WHEN port = 0 THEN -1 WHEN data IS NULL THEN 0 ELSE 100 / port END",
    "port / nullif(port, 0)",
    "event IN ('login', 'x', data)",
    "data LIKE '%a%' AND NOT event = data",
    "regexp_replace(data, '[^0-9]', '', 'g')",
    "port > 5 OR payload_bytes(data) < 3",
    "concat(event, '|', port)",
    "7",
];

fn cell() -> impl Strategy<Value = Option<String>> {
    prop_oneof![Just(None), "[a1é' ]{0,6}".prop_map(Some), "\\PC{0,12}".prop_map(Some), Just(Some("login".to_owned()))]
}

proptest! {
    #[test]
    fn a_batch_gives_what_its_rows_give(
        rows in prop::collection::vec((cell(), cell(), prop::option::of(-3_i64..100)), 1..12),
    ) {
        let all = batch(vec![
            ("event", Arc::new(rows.iter().map(|r| r.0.as_deref()).collect::<StringArray>()) as ArrayRef),
            ("data", Arc::new(rows.iter().map(|r| r.1.as_deref()).collect::<StringArray>())),
            ("port", Arc::new(rows.iter().map(|r| r.2).collect::<Int64Array>())),
        ]);
        for sql in TOTAL {
            let expression = Expression::compile("x", sql, &all.schema()).unwrap();
            let together = expression.evaluate(&all).unwrap();
            prop_assert_eq!(together.len(), rows.len());
            prop_assert_eq!(together.data_type(), expression.data_type());
            for i in 0..rows.len() {
                let alone = expression.evaluate(&all.slice(i, 1)).unwrap();
                prop_assert_eq!(together.slice(i, 1).to_data(), alone.slice(0, 1).to_data(), "{} on row {}", sql, i);
            }
        }
    }

    #[test]
    fn any_text_is_compiled_or_refused(sql in "[a-z0-9'\"(),.*+<>=:;$?@~| -]{0,40}|\\PC{0,30}") {
        if let Err(error) = Expression::compile("x", &sql, &events()) {
            prop_assert!(!error.to_string().chars().any(char::is_control));
        }
    }

    #[test]
    fn a_column_is_found_however_it_is_wrapped(wrappers in prop::collection::vec(0_usize..8, 0..6), quoted in any::<bool>()) {
        let mut sql = if quoted { "\"event\"".to_owned() } else { "event".to_owned() };
        for w in wrappers {
            sql = match w {
                0 => format!("lower(CAST({sql} AS VARCHAR))"),
                1 => format!("CASE WHEN port > 1 THEN 'data' ELSE CAST({sql} AS VARCHAR) END"),
                2 => format!("coalesce({sql}, NULL)"),
                3 => format!("({sql})"),
                4 => format!("nullif(CAST({sql} AS VARCHAR), 'port')"),
                5 => format!("payload_length(CAST({sql} AS VARCHAR))"),
                6 => format!("concat('x', {sql})"),
                _ => format!("({sql} IS NULL)"),
            };
        }
        let label = Expression::compile("label", "event = 'login'", &events()).unwrap();
        let features = feature_set(&[("f", &sql)]);
        prop_assert_eq!(overlaps(&label, &features).len(), 1, "{}", sql);
        let other = Expression::compile("label", "data = 'event'", &events()).unwrap();
        prop_assert!(overlaps(&other, &features).is_empty(), "{}", sql);
    }
}
