//! Conditions and orders as SQL on the table `runs`. What a user typed goes into `values` alone.

use rusqlite::types::Value;

use crate::filter::{self, Condition, Field, Operator, Order};

/// Table that keeps a kind of field, and what else its rows must be.
fn table(field: &Field) -> Option<(&'static str, &str, &'static str)> {
    match field {
        // A NaN is kept as 0 with a mark.
        Field::Metric(key) => Some(("latest_metrics", key, " AND NOT x.is_nan")),
        Field::Param(key) => Some(("params", key, "")),
        Field::Tag(key) => Some(("tags", key, "")),
        Field::Attribute(_) => None,
    }
}

/// Appends a condition, and the values of its places.
pub(super) fn condition(condition: &Condition, sql: &mut String, values: &mut Vec<Value>) {
    let Condition { field, operator, value } = condition;
    let (symbol, value) = match (operator, value) {
        (_, filter::Value::Number(number)) => (operator.as_str(), Value::Real(*number)),
        // SQLite's LIKE takes large and small letters for the same, MLflow's does not.
        (Operator::Like, filter::Value::Text(text)) => ("GLOB", Value::Text(glob(text))),
        (Operator::ILike, filter::Value::Text(text)) => ("LIKE", Value::Text(text.clone())),
        (_, filter::Value::Text(text)) => (operator.as_str(), Value::Text(text.clone())),
    };
    match table(field) {
        Some((table, key, and)) => {
            sql.push_str(&format!(
                "EXISTS (SELECT 1 FROM {table} x WHERE x.run_uuid = runs.run_uuid AND x.key = ?{and} AND x.value {symbol} ?)"
            ));
            values.push(Value::Text(key.to_owned()));
        }
        None => sql.push_str(&format!("runs.{} {symbol} ?", column(field))),
    }
    values.push(value);
}

/// Appends an order, and the values of its places. What has no value comes last.
pub(super) fn order(order: &Order, sql: &mut String, values: &mut Vec<Value>) {
    match table(&order.field) {
        Some((table, key, and)) => {
            sql.push_str(&format!(
                "(SELECT x.value FROM {table} x WHERE x.run_uuid = runs.run_uuid AND x.key = ?{and})"
            ));
            values.push(Value::Text(key.to_owned()));
        }
        None => sql.push_str(&format!("runs.{}", column(&order.field))),
    }
    sql.push_str(if order.is_descending { " DESC NULLS LAST" } else { " ASC NULLS LAST" });
}

fn column(field: &Field) -> &'static str {
    match field {
        Field::Attribute(attribute) => attribute.column,
        Field::Metric(_) | Field::Param(_) | Field::Tag(_) => "run_uuid",
    }
}

/// The pattern of GLOB for one of LIKE.
fn glob(like: &str) -> String {
    let mut glob = String::with_capacity(like.len());
    for c in like.chars() {
        match c {
            '%' => glob.push('*'),
            '_' => glob.push('?'),
            '*' | '?' | '[' => glob.extend(['[', c, ']']),
            c => glob.push(c),
        }
    }
    glob
}
