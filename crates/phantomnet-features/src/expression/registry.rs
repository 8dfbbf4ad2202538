//! The functions an expression may call, and what the planner asks about them.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow_schema::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, TableReference, plan_err};
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, Volatility, WindowUDF};
use datafusion_functions::core::planner::CoreFunctionPlanner;
use datafusion_functions::datetime::planner::DatetimeFunctionPlanner;
use datafusion_functions::unicode::planner::UnicodeFunctionPlanner;

/// Scalar functions by lower-case name and alias, ours before the engine's.
pub(super) struct Registry {
    functions: BTreeMap<String, Arc<ScalarUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
    options: ConfigOptions,
}

/// Made once: every expression of every model uses the same.
pub(super) static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut functions = BTreeMap::new();
    for function in datafusion_functions::all_default_functions().into_iter().chain(crate::functions::all()) {
        for alias in function.aliases() {
            functions.insert(alias.clone(), Arc::clone(&function));
        }
        functions.insert(function.name().to_owned(), function);
    }
    Registry {
        functions,
        planners: vec![
            Arc::new(CoreFunctionPlanner::default()),
            Arc::new(UnicodeFunctionPlanner),
            Arc::new(DatetimeFunctionPlanner),
        ],
        options: ConfigOptions::default(),
    }
});

impl Registry {
    /// The function of this name, which is in lower case.
    pub(super) fn function(&self, name: &str) -> Option<&Arc<ScalarUDF>> {
        self.functions.get(name)
    }

    /// The name spelled most alike, the first of equals.
    pub(super) fn nearest(&self, name: &str) -> String {
        let nearest = self.functions.keys().min_by_key(|known| strsim::levenshtein(known, name));
        nearest.cloned().unwrap_or_default()
    }
}

/// Whether a function gives the same value for the same arguments, always. `version` does so for one build only.
pub(super) fn is_reproducible(function: &ScalarUDF) -> bool {
    function.signature().volatility == Volatility::Immutable && function.name() != "version"
}

/// Names of the engine's functions that expressions may call.
pub(crate) fn engine_functions() -> Vec<String> {
    let mut names: Vec<String> = datafusion_functions::all_default_functions()
        .iter()
        .filter(|f| is_reproducible(f))
        .map(|f| f.name().to_owned())
        .collect();
    names.sort_unstable();
    names
}

impl ContextProvider for Registry {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        plan_err!("there is no table `{name}`")
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.function(name).cloned()
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}
