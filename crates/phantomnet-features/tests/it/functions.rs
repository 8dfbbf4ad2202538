//! Our SQL functions as the engine calls them, and their reference page.

use std::path::Path;
use std::sync::Arc;
use std::{env, fs};

use arrow_array::{Array, ArrayRef, LargeStringArray, StringArray, StringViewArray};
use phantomnet_features::{Expression, functions};

use super::batch;

#[test]
fn every_function_is_documented_and_reads_any_string_array() {
    let texts = [Some("uname -a"), Some(""), None, Some("été 42!")];
    let events = batch(vec![
        ("utf8", Arc::new(StringArray::from(texts.to_vec())) as ArrayRef),
        ("large", Arc::new(LargeStringArray::from(texts.to_vec()))),
        ("view", Arc::new(StringViewArray::from(texts.to_vec()))),
    ]);
    let names: Vec<String> = functions::all().iter().map(|f| f.name().to_owned()).collect();
    assert_eq!(names, functions::docs().iter().map(|doc| doc.name).collect::<Vec<_>>());
    assert!(names.is_sorted());
    for name in names {
        let evaluate =
            |sql: String| Expression::compile("x", &sql, &events.schema()).unwrap().evaluate(&events).unwrap();
        let expected = evaluate(format!("{name}(utf8)"));
        assert_eq!(&expected, &evaluate(format!("{name}(large)")), "{name}");
        assert_eq!(&expected, &evaluate(format!("{name}(view)")), "{name}");
        assert!(expected.is_null(2) && expected.null_count() == 1, "{name}");
        // A scalar gives for every row what an array gives for its own.
        let scalar = evaluate(format!("{name}('été 42!')"));
        assert_eq!(scalar.slice(0, 1).to_data(), expected.slice(3, 1).to_data(), "{name}");
    }
}

#[test]
fn reference_page_is_current() {
    let page = reference_page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/functions.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/reference/functions.md is stale; run the tests with UPDATE_DOCS=1");
}

fn reference_page() -> String {
    let mut page = "\
# SQL functions

Generated from the code by the tests of `phantomnet-features`; do not edit.

Features and label are SQL expressions over the columns of one event. Names of functions are read in any case; a
function of NULL is NULL unless it says otherwise.

## Functions of PhantomNet

They measure a text. A character is a Unicode character, not a byte. Another type than text is refused: write
`payload_length(CAST(port AS VARCHAR))`.

| function | gives |
|---|---|
"
    .to_owned();
    for doc in functions::docs() {
        page.push_str(&format!("| `{}` | {} |\n", doc.signature, doc.description));
    }
    page.push_str(
        "
## Functions of the query engine

Described in the [reference of DataFusion](https://datafusion.apache.org/user-guide/sql/scalar_functions.html). Those
whose value depends on the time, on chance or on the build (`now`, `random`, `uuid`, `version`, ...) are refused, and so
are functions over many events (`count`, `avg`, ...). Functions whose name starts with `regexp_` compile their pattern
for each event, which takes some 30 microseconds.

",
    );
    let names = functions::engine_functions().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let mut width = 0;
    for (i, name) in names.iter().enumerate() {
        let end = if i + 1 == names.len() { "." } else { "," };
        if width + name.len() + 2 > 118 {
            page.push('\n');
            width = 0;
        } else if width > 0 {
            page.push(' ');
            width += 1;
        }
        page.push_str(name);
        page.push_str(end);
        width += name.len() + end.len();
    }
    page.push('\n');
    page
}
