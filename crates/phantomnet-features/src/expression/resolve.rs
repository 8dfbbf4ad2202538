//! Names to columns and functions.
//!
//! SQL reads `a.b` as column `b` of table `a`, folds the case of what is not quoted, and takes `@timestamp` for a
//! variable. An event has no tables and no variables: here a name is a column, letter for letter, its parts joined by
//! dots.

use std::ops::ControlFlow;

use arrow_schema::SchemaRef;
use datafusion_sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, Value,
    ValueWithSpan, VisitMut, VisitorMut,
};

use super::registry::REGISTRY;
use crate::ExpressionError;

/// Functions over many rows, which SQL users may try first.
const OVER_ROWS: &[&str] = &[
    "array_agg",
    "avg",
    "corr",
    "count",
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "max",
    "mean",
    "median",
    "min",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
    "stddev",
    "string_agg",
    "sum",
    "var",
];

/// Rewrites every name of `tree` to a quoted column or a lower-case function, both of which exist.
pub(super) fn resolve(name: &str, mut tree: Expr, schema: &SchemaRef) -> Result<Expr, ExpressionError> {
    match tree.visit(&mut Resolver { name, schema }) {
        ControlFlow::Continue(()) => Ok(tree),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Resolver<'a> {
    name: &'a str,
    schema: &'a SchemaRef,
}

impl VisitorMut for Resolver<'_> {
    type Break = ExpressionError;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<ExpressionError> {
        self.not_allowed("a subquery")
    }

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<ExpressionError> {
        match &value.value {
            Value::Placeholder(sign) => self.not_allowed(&format!("the placeholder `{sign}`")),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ExpressionError> {
        match expr {
            Expr::Identifier(part) => {
                *part = self.column(std::slice::from_ref(part))?;
                ControlFlow::Continue(())
            }
            Expr::CompoundIdentifier(parts) => {
                *expr = Expr::Identifier(self.column(parts)?);
                ControlFlow::Continue(())
            }
            Expr::Function(function) => self.function(function),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => self.not_allowed("the wildcard `*`"),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Resolver<'_> {
    fn not_allowed<T>(&self, what: &str) -> ControlFlow<ExpressionError, T> {
        ControlFlow::Break(ExpressionError::NotAllowed { name: self.name.to_owned(), what: what.to_owned() })
    }

    fn column(&self, parts: &[Ident]) -> ControlFlow<ExpressionError, Ident> {
        let column = parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
        if self.schema.index_of(&column).is_ok() {
            return ControlFlow::Continue(Ident::with_quote('"', column));
        }
        ControlFlow::Break(ExpressionError::UnknownColumn {
            name: self.name.to_owned(),
            column,
            columns: self.schema.fields().iter().map(|field| field.name().clone()).collect(),
        })
    }

    fn function(&self, function: &mut Function) -> ControlFlow<ExpressionError> {
        let called = function.name.0.iter().filter_map(ObjectNamePart::as_ident).map(|part| part.value.as_str());
        let called = called.collect::<Vec<_>>().join(".").to_lowercase();
        if function.over.is_some() {
            return self.not_allowed(&format!("`{called}` over a window of events"));
        }
        if REGISTRY.function(&called).is_none() {
            if OVER_ROWS.contains(&called.as_str()) {
                return self.not_allowed(&format!("`{called}` over many events"));
            }
            return ControlFlow::Break(ExpressionError::UnknownFunction {
                name: self.name.to_owned(),
                nearest: REGISTRY.nearest(&called),
                function: called,
            });
        }
        if has_wildcard(&function.args) {
            return self.not_allowed("the wildcard `*`");
        }
        function.name = ObjectName::from(vec![Ident::new(called)]);
        ControlFlow::Continue(())
    }
}

fn has_wildcard(arguments: &FunctionArguments) -> bool {
    let FunctionArguments::List(list) = arguments else { return false };
    list.args.iter().any(|argument| match argument {
        FunctionArg::Unnamed(arg) | FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } => {
            !matches!(arg, FunctionArgExpr::Expr(_))
        }
    })
}
