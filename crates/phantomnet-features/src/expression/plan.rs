//! Syntax tree to physical expression, by the query engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{Expr, Operator};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::execution_props::ExecutionProps;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion_sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::ast::Expr as SqlExpr;

use super::registry::{REGISTRY, is_reproducible};
use crate::ExpressionError;
use crate::error::reason;

/// What planning finds out about an expression.
pub(super) struct Planned {
    pub(super) columns: Vec<String>,
    pub(super) slow_functions: Vec<String>,
    pub(super) data_type: DataType,
    pub(super) physical: Arc<dyn PhysicalExpr>,
}

/// Plans a tree whose names are resolved.
pub(super) fn plan(name: &str, tree: SqlExpr, schema: &SchemaRef) -> Result<Planned, ExpressionError> {
    let planning = |e: DataFusionError| ExpressionError::Plan { name: name.to_owned(), reason: reason(&e) };
    let schema = nullable(schema).map_err(planning)?;
    let options = ParserOptions {
        enable_ident_normalization: false,
        map_string_types_to_utf8view: false,
        ..ParserOptions::new()
    };
    let planner = SqlToRel::new_with_options(&*REGISTRY, options);
    let logical = planner.sql_to_expr(tree, &schema, &mut PlannerContext::new()).map_err(planning)?;
    check(name, &logical).map_err(|e| match e {
        Refusal::Expression(e) => e,
        Refusal::Engine(e) => planning(e),
    })?;
    // Before simplification: a label reads a column also where its value turns out not to matter.
    let columns: BTreeSet<String> = logical.column_refs().into_iter().map(|c| c.name.clone()).collect();
    let mut slow_functions = slow_functions_of(&logical).map_err(planning)?;

    let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_schema(Arc::clone(&schema)).build());
    let coerced = simplifier.coerce(logical, &schema).map_err(planning)?;
    let simplified = simplifier.simplify(coerced).map_err(planning)?;
    // A pattern without signs becomes a `LIKE`, which is quick. Those that stay keep the name the user gave them.
    if slow_functions_of(&simplified).map_err(planning)?.is_empty() {
        slow_functions.clear();
    }
    let physical =
        create_physical_expr(&simplified, &schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())
            .map_err(planning)?;
    let data_type = physical.data_type(schema.as_arrow()).map_err(planning)?;
    Ok(Planned {
        columns: columns.into_iter().collect(),
        slow_functions: slow_functions.into_iter().collect(),
        data_type,
        physical,
    })
}

/// The schema with every column nullable: the simplifier believes a schema that says otherwise, and the next file need
/// not keep the promise.
fn nullable(schema: &SchemaRef) -> Result<Arc<DFSchema>, DataFusionError> {
    let fields: Vec<Field> =
        schema.fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true)).collect();
    DFSchema::try_from(Schema::new(fields)).map(Arc::new)
}

enum Refusal {
    Expression(ExpressionError),
    Engine(DataFusionError),
}

impl From<DataFusionError> for Refusal {
    fn from(e: DataFusionError) -> Self {
        Self::Engine(e)
    }
}

/// Refuses what one event does not decide. Lists what is allowed, so that a new kind of node is refused until thought of.
fn check(name: &str, logical: &Expr) -> Result<(), Refusal> {
    let mut refused = None;
    logical.apply(|node| {
        refused = match node {
            Expr::Alias(_)
            | Expr::Column(_)
            | Expr::Literal(..)
            | Expr::BinaryExpr(_)
            | Expr::Like(_)
            | Expr::SimilarTo(_)
            | Expr::Not(_)
            | Expr::IsNotNull(_)
            | Expr::IsNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Negative(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::InList(_) => None,
            Expr::ScalarFunction(call) if is_reproducible(&call.func) => None,
            Expr::ScalarFunction(call) => {
                Some(ExpressionError::NotReproducible { name: name.to_owned(), function: call.name().to_owned() })
            }
            other => Some(ExpressionError::NotAllowed {
                name: name.to_owned(),
                what: format!("`{}` ({})", other.schema_name(), other.variant_name()),
            }),
        };
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    refused.map_or(Ok(()), |e| Err(Refusal::Expression(e)))
}

fn slow_functions_of(expr: &Expr) -> Result<BTreeSet<String>, DataFusionError> {
    let mut found = BTreeSet::new();
    expr.apply(|node| {
        match node {
            Expr::ScalarFunction(call) if call.name().starts_with("regexp_") => {
                found.insert(call.name().to_owned());
            }
            Expr::SimilarTo(_) => {
                found.insert("SIMILAR TO".to_owned());
            }
            Expr::BinaryExpr(binary) if is_regex(binary.op) => {
                found.insert(binary.op.to_string());
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn is_regex(op: Operator) -> bool {
    matches!(op, Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch)
}
