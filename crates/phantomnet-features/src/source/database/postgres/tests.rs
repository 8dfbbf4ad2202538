//! Against a real server: that of `PHANTOMNET_FEATURES_TEST_POSTGRES`, on which the user may make schemas and roles.
//!
//! With `sslrootcert` in the URL, the server has a certificate of that authority for 127.0.0.1 alone, and asks the roles
//! `by_scram`, `by_md5` and `by_clear_text` for a password in that way.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_schema::DataType;

use super::*;
use crate::source::database::testing::{query, read_all, source, table, told};
use crate::source::database::{DatabaseRows, DatabaseSource, Location};

/// The URL of the server; `None` where there is none, which is said.
fn url() -> Option<String> {
    let url = std::env::var("PHANTOMNET_FEATURES_TEST_POSTGRES").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        eprintln!("SKIPPED: PHANTOMNET_FEATURES_TEST_POSTGRES names no server");
    }
    url
}

/// A schema of a test, emptied, and a connection that writes.
struct Schema {
    url: String,
    name: &'static str,
    writer: Connection,
}

fn server(url: &str) -> Server {
    match source(url, None).location {
        Location::Postgres(server) => server,
        Location::Sqlite(_) => panic!("it is no server"),
    }
}

impl Schema {
    fn new(name: &'static str, sql: &str) -> Option<Self> {
        let url = url()?;
        let mut writer = Connection::open(&server(&url)).unwrap();
        writer
            .run(&format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}; SET search_path = {name}"))
            .unwrap();
        writer.run(sql).unwrap();
        Some(Self { url, name, writer })
    }

    fn source(&self, selection: Option<Selection>) -> DatabaseSource {
        source(&self.url, selection)
    }

    /// The table of this schema.
    fn table(&self, name: &str) -> Option<Selection> {
        table(&format!("{}.{name}", self.name))
    }

    fn rows(&self, selection: Option<Selection>) -> Vec<String> {
        read_all(&self.source(selection), 100).unwrap_or_else(|error| panic!("{}", told(&error))).0
    }

    fn error(&self, selection: Option<Selection>) -> String {
        told(&read_all(&self.source(selection), 100).expect_err("an error"))
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let _ = self.writer.run(&format!("DROP SCHEMA {} CASCADE", self.name));
    }
}

#[test]
fn every_type_has_its_column() {
    let Some(schema) = Schema::new(
        "phantomnet_types",
        "CREATE TYPE mood AS ENUM ('calm', 'angry');
         CREATE TYPE pair AS (a int, b text);
         CREATE DOMAIN port AS int CHECK (VALUE > 0);
         CREATE DOMAIN word AS text;",
    ) else {
        return;
    };
    use DataType::{Boolean, Float64, Int64, Utf8};
    let cases: &[(&str, DataType, &str)] = &[
        ("'-32768'::int2", Int64, "-32768"),
        ("2147483647::int4", Int64, "2147483647"),
        ("'-9223372036854775808'::int8", Int64, "-9223372036854775808"),
        ("4294967295::oid", Int64, "4294967295"),
        ("22::phantomnet_types.port", Int64, "22"),
        ("1.1::float4", Float64, "1.1"),
        ("0.1::float8 + 0.2::float8", Float64, "0.30000000000000004"),
        ("'NaN'::float8", Float64, "null"),
        ("'-Infinity'::float8", Float64, "\"-inf\""),
        ("12345.678::numeric", Float64, "12345.678"),
        ("1e300::numeric", Float64, "1e300"),
        ("'NaN'::numeric", Float64, "null"),
        ("true", Boolean, "true"),
        ("NULL::bool", Boolean, "null"),
        ("'a\u{1b}ü漢'::text", Utf8, "\"a\\u001bü漢\""),
        ("''::varchar(5)", Utf8, "\"\""),
        ("'ab'::char(5)", Utf8, "\"ab\""),
        ("'n'::name", Utf8, "\"n\""),
        ("'c'::\"char\"", Utf8, "\"c\""),
        ("'w'::phantomnet_types.word", Utf8, "\"w\""),
        ("'2024-05-06'::date", Utf8, "\"2024-05-06\""),
        ("'infinity'::date", Utf8, "\"infinity\""),
        ("'2024-05-06 07:08:09.1'::timestamp", Utf8, "\"2024-05-06T07:08:09.100\""),
        ("'2024-05-06 07:08:09+02'::timestamptz", Utf8, "\"2024-05-06T05:08:09Z\""),
        ("'2024-05-06 07:08:09.123456+02'::timestamptz", Utf8, "\"2024-05-06T05:08:09.123456Z\""),
        ("'-infinity'::timestamptz", Utf8, "\"-infinity\""),
        ("'0044-03-15 12:00:00 BC'::timestamp", Utf8, "\"0044-03-15 12:00:00 BC\""),
        ("'07:08:09'::time", Utf8, "\"07:08:09\""),
        ("'07:08:09.5+02'::timetz", Utf8, "\"07:08:09.5+02\""),
        ("'1 day 2 hours'::interval", Utf8, "\"P1DT2H\""),
        ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", Utf8, "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""),
        ("'192.168.1.7'::inet", Utf8, "\"192.168.1.7\""),
        ("'10.0.0.0/8'::cidr", Utf8, "\"10.0.0.0/8\""),
        ("'::1'::inet", Utf8, "\"::1\""),
        ("'08:00:2b:01:02:03'::macaddr", Utf8, "\"08:00:2b:01:02:03\""),
        ("'{\"b\": 1, \"a\":[]}'::json", Utf8, r#""{\"b\": 1, \"a\":[]}""#),
        ("'{\"b\": 1, \"a\":[]}'::jsonb", Utf8, r#""{\"a\": [], \"b\": 1}""#),
        ("'\\x6869ff'::bytea", Utf8, "\"hi\u{fffd}\""),
        ("ARRAY[1, NULL, 3]", Utf8, "\"[1,null,3]\""),
        ("ARRAY[22, 80]::phantomnet_types.port[]", Utf8, "\"[22,80]\""),
        ("ARRAY['a', 'b \"c\"', 'NULL', NULL]", Utf8, r#""[\"a\",\"b \\\"c\\\"\",\"NULL\",null]""#),
        ("ARRAY[[true], [false]]", Utf8, "\"[[true],[false]]\""),
        ("ARRAY['2024-05-06 07:08:09+00'::timestamptz]", Utf8, r#""[\"2024-05-06T07:08:09Z\"]""#),
        ("ARRAY['angry']::phantomnet_types.mood[]", Utf8, r#""[\"angry\"]""#),
        ("'{}'::int[]", Utf8, "\"[]\""),
        ("'1 2'::int2vector", Utf8, "\"1 2\""),
        ("ARRAY['(1,2),(0,0)'::box, '(3,4),(0,0)'::box]", Utf8, r#""[\"(1,2),(0,0)\",\"(3,4),(0,0)\"]""#),
        ("'angry'::phantomnet_types.mood", Utf8, "\"angry\""),
        ("ROW(1, 'x y')::phantomnet_types.pair", Utf8, "\"(1,\\\"x y\\\")\""),
        ("'[1,5)'::int4range", Utf8, "\"[1,5)\""),
        ("'(1,2)'::point", Utf8, "\"(1,2)\""),
        ("12.5::money::numeric", Float64, "12.5"),
        ("B'101'", Utf8, "\"101\""),
        ("NULL", Utf8, "null"),
    ];
    let expressions = cases.iter().enumerate().map(|(i, (sql, ..))| format!("{sql} AS c{i}"));
    let sql = format!(
        "SELECT {} UNION ALL SELECT {} FROM (SELECT 1) AS nothing",
        expressions.collect::<Vec<_>>().join(", "),
        vec!["NULL"; cases.len()].join(", ")
    );
    // json and the like cannot be compared, which UNION ALL does not need.
    let (rows, types) = read_all(&schema.source(query(&sql)), 1).unwrap_or_else(|error| panic!("{}", told(&error)));
    let expected: Vec<DataType> = cases.iter().map(|(_, data_type, _)| data_type.clone()).collect();
    assert_eq!(types, [expected.clone(), expected], "of all batches, also where all is NULL");
    let values: serde_json::Value = serde_json::from_str(&rows[0]).unwrap();
    for ((sql, _, expected), value) in cases.iter().zip(values.as_array().unwrap()) {
        assert_eq!(serde_json::from_str::<serde_json::Value>(expected).unwrap(), *value, "{sql}");
    }
    assert!(serde_json::from_str::<Vec<()>>(&rows[1]).is_ok(), "{}", rows[1]);
}

#[test]
fn rows_of_a_table_come_by_its_key_and_without_one_with_a_warning() {
    let Some(schema) = Schema::new(
        "phantomnet_order",
        "CREATE TABLE keyed (a int, b text, c int, PRIMARY KEY (b, a) INCLUDE (c));
         INSERT INTO keyed VALUES (2, 'y', 1), (1, 'y', 2), (3, 'x', 3);
         CREATE TABLE loose (a int); INSERT INTO loose VALUES (3), (1);
         CREATE VIEW seen AS SELECT a FROM keyed;
         CREATE TABLE parts (a int PRIMARY KEY) PARTITION BY RANGE (a);
         CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (10);
         CREATE TABLE high PARTITION OF parts FOR VALUES FROM (10) TO (20);
         INSERT INTO parts VALUES (15), (5), (1)",
    ) else {
        return;
    };
    let warning = |name| DatabaseRows::open(&schema.source(schema.table(name))).unwrap().warning();
    assert_eq!(schema.rows(schema.table("keyed")), [r#"[3,"x",3]"#, r#"[1,"y",2]"#, r#"[2,"y",1]"#]);
    assert_eq!(schema.rows(schema.table("parts")), ["[1]", "[5]", "[15]"]);
    assert_eq!(schema.rows(schema.table("loose")), ["[3]", "[1]"]);
    assert_eq!((warning("keyed"), warning("parts")), (None, None));
    for name in ["loose", "seen"] {
        let warning = warning(name).expect("a warning");
        assert!(warning.contains(&format!("phantomnet_order.{name}")) && warning.contains("ORDER BY"), "{warning}");
        assert!(!warning.contains("secret"), "{warning}");
    }
    let own = query("SELECT a FROM phantomnet_order.loose");
    assert_eq!(DatabaseRows::open(&schema.source(own)).unwrap().warning(), None);
}

#[test]
fn a_table_may_have_any_name_and_a_wrong_one_is_told_with_its_nearest() {
    let Some(schema) = Schema::new(
        "phantomnet_names",
        r#"CREATE TABLE "a ""b" (x int); CREATE TABLE "a.b" (x int); CREATE TABLE "Select" (x int);
           CREATE TABLE "e; DROP TABLE events" (x int); CREATE TABLE events (x int);
           CREATE TABLE public.phantomnet_dotted (x int); CREATE TABLE public."phantomnet.dotted" (x int, y int)"#,
    ) else {
        return;
    };
    for name in ["a \"b", "a.b", "Select", "e; DROP TABLE events", "events"] {
        assert_eq!(schema.rows(schema.table(name)), [""; 0], "{name}");
    }
    let columns = |name| DatabaseRows::open(&schema.source(table(name))).unwrap().columns().to_vec();
    assert_eq!(columns("phantomnet_dotted"), ["x"]);
    assert_eq!(columns("phantomnet.dotted"), ["x", "y"]);
    let mut writer = Connection::open(&server(&schema.url)).unwrap();
    writer.run(r#"DROP TABLE public.phantomnet_dotted, public."phantomnet.dotted""#).unwrap();
    let error = schema.error(schema.table("evnets"));
    assert!(error.contains("no table `phantomnet_names.evnets`"), "{error}");
    assert!(error.contains("did you mean `phantomnet_names.events`"), "{error}");
    let error = schema.error(table("x'; DROP SCHEMA phantomnet_names --\u{1b}"));
    assert!(error.contains("its tables are ") && !error.contains('\u{1b}'), "{error}");
    let error = schema.error(None);
    assert!(error.contains("add `?table=NAME`"), "{error}");
}

#[test]
fn only_one_statement_that_reads_is_taken() {
    let Some(schema) = Schema::new(
        "phantomnet_queries",
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE SEQUENCE s;
         CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'INSERT INTO phantomnet_queries.t VALUES (2) RETURNING a'",
    ) else {
        return;
    };
    for (sql, expected) in [
        ("SELECT 1; SELECT 2", "multiple commands"),
        ("SELECT 1; COMMIT; DROP TABLE phantomnet_queries.t", "multiple commands"),
        ("DELETE FROM phantomnet_queries.t", "returns no rows"),
        ("DELETE FROM phantomnet_queries.t RETURNING a", "read-only transaction"),
        ("WITH d AS (DELETE FROM phantomnet_queries.t RETURNING a) SELECT * FROM d", "read-only transaction"),
        ("SELECT phantomnet_queries.f()", "read-only transaction"),
        ("SELECT nextval('phantomnet_queries.s')", "a transaction that is READ ONLY"),
        ("SELECT set_config('transaction_read_only', 'off', false), phantomnet_queries.f()", "read-write"),
        ("EXPLAIN ANALYZE DELETE FROM phantomnet_queries.t", "read-only transaction"),
        ("COMMIT", "returns no rows"),
        ("SET TRANSACTION READ WRITE", "returns no rows"),
        ("COPY phantomnet_queries.t TO STDOUT", "returns no rows"),
        ("COPY phantomnet_queries.t FROM STDIN", "returns no rows"),
        ("CREATE TABLE u (a int)", "returns no rows"),
        ("-- nothing", "returns no rows"),
        ("SELECT FROM phantomnet_queries.t", "returns no rows"),
        ("SELECT $1::int", "parameters"),
        ("SELECT a, a FROM phantomnet_queries.t", "two of its columns are named `a`"),
        ("SELEC 1", "syntax error"),
        ("SELECT b FROM phantomnet_queries.t", "column \"b\" does not exist"),
        ("SELECT 1 / (a - 1) FROM phantomnet_queries.t", "division by zero"),
    ] {
        let error = schema.error(query(sql));
        assert!(error.contains(expected), "{sql}: {error}");
        assert_eq!(schema.rows(schema.table("t")), ["[1]"], "{sql}");
    }
    assert_eq!(schema.rows(query("SELECT 1 AS a; -- all")), ["[1]"]);
    assert_eq!(schema.rows(query("VALUES (2), (3)")), ["[2]", "[3]"]);
    assert_eq!(schema.rows(query("SHOW transaction_read_only")), ["[\"on\"]"]);
}

#[test]
fn a_million_rows_are_read_in_order_a_few_at_a_time() {
    let Some(schema) = Schema::new(
        "phantomnet_million",
        "CREATE TABLE t AS SELECT i AS id, '10.0.0.' || i % 256 AS ip, i / 7.0::float8 AS x,
         timestamptz 'epoch' + i * interval '1 second' AS seen FROM generate_series(1, 1000000) i;
         ALTER TABLE t ADD PRIMARY KEY (id)",
    ) else {
        return;
    };
    let mut rows = DatabaseRows::open(&schema.source(schema.table("t"))).unwrap();
    let mut last = 0;
    while let Some(arrays) = rows.next(1000).unwrap() {
        let numbers = arrays[2].as_primitive::<Float64Type>().values();
        for (&id, &x) in arrays[0].as_primitive::<Int64Type>().values().iter().zip(numbers) {
            assert_eq!((id, x), (last + 1, id as f64 / 7.0));
            last = id;
        }
    }
    assert_eq!(last, 1_000_000);
}

#[test]
fn large_values_make_short_batches_and_too_large_ones_are_named() {
    let Some(schema) = Schema::new("phantomnet_large", "") else { return };
    let sql = "SELECT i, repeat('x', 10000000) AS text FROM generate_series(1, 20) i";
    let mut rows = DatabaseRows::open(&schema.source(query(sql))).unwrap();
    let (mut lengths, mut ids) = (Vec::new(), Vec::new());
    while let Some(arrays) = rows.next(1000).unwrap() {
        lengths.push(arrays[0].len());
        ids.extend_from_slice(arrays[0].as_primitive::<Int64Type>().values());
    }
    assert_eq!((lengths, ids), (vec![7, 7, 6], (1..=20).collect()));
    let sized = |n: usize| {
        format!("SELECT 1 AS a, repeat('x', {n})::bytea AS b UNION ALL SELECT 2, repeat('x', {n} + 1)::bytea")
    };
    assert_eq!(schema.rows(query(&sized(MAX_CELL_BYTES - 1))).len(), 2);
    let error = schema.error(query(&sized(MAX_CELL_BYTES)));
    assert!(error.contains("column `b` of row 2 of `postgres://") && error.contains("left(column"), "{error}");
    let wide = (0..30).map(|i| format!("repeat('x', 16000000) AS c{i}")).collect::<Vec<_>>().join(", ");
    let error = schema.error(query(&format!("SELECT {wide}")));
    assert!(error.contains("256 MiB"), "{error}");
}

#[test]
fn what_is_written_meanwhile_is_not_seen() {
    let Some(mut schema) = Schema::new(
        "phantomnet_written",
        "CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t SELECT * FROM generate_series(1, 100)",
    ) else {
        return;
    };
    let mut rows = DatabaseRows::open(&schema.source(schema.table("t"))).unwrap();
    rows.next(1).unwrap();
    schema.writer.run("DELETE FROM t WHERE a > 50; INSERT INTO t VALUES (101)").unwrap();
    let mut n = 1;
    while let Some(arrays) = rows.next(7).unwrap() {
        n += arrays[0].len();
    }
    assert_eq!(n, 100);
}

#[test]
fn a_connection_that_is_cut_is_no_end_of_rows() {
    let Some(mut schema) = Schema::new("phantomnet_cut", "") else { return };
    let sql = "SELECT pg_backend_pid() AS pid FROM generate_series(1, 1000000)";
    let mut rows = DatabaseRows::open(&schema.source(query(sql))).unwrap();
    let pid = rows.next(10).unwrap().unwrap()[0].as_primitive::<Int64Type>().value(0);
    schema.writer.run(&format!("SELECT pg_terminate_backend({pid}, 10000)")).unwrap();
    let error = told(&rows.next(10).unwrap_err());
    assert!(error.contains("beyond row 10") && error.contains("read again later"), "{error}");
    assert!(rows.next(10).unwrap_err().to_string().contains("beyond row 10"));
    // Rows that are not wanted any more do not keep the server busy.
    let mut rows = DatabaseRows::open(&schema.source(query(sql))).unwrap();
    let pid = rows.next(10).unwrap().unwrap()[0].as_primitive::<Int64Type>().value(0);
    drop(rows);
    let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
    let is_gone = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        schema.rows(query(&gone)) == ["[0]"]
    });
    assert!(is_gone);
}

#[test]
fn a_connection_that_is_refused_says_why() {
    let Some(url) = url() else { return };
    let with = |user: &str, database: &str| {
        let mut source = source(&url, table("t"));
        if let Location::Postgres(server) = &mut source.location {
            server.user = Some(user.to_owned()).filter(|user| !user.is_empty());
            server.database = Some(database.to_owned());
        }
        told(&DatabaseRows::open(&source).err().expect("an error"))
    };
    let error = with("", "postgres");
    assert!(error.contains("no user is named"), "{error}");
    let own = server(&url).user.unwrap();
    let error = with(&own, "no such\u{1b}");
    assert!(error.contains("does not exist") && error.contains("stands after the host"), "{error}");
    assert!(!error.contains('\u{1b}'), "{error}");
    let error = with("nobody_at_all", "postgres");
    assert!(error.contains("cannot open") && error.contains("nobody_at_all"), "{error}");
}

#[test]
fn passwords_are_proven_in_each_way_and_never_shown() {
    let Some(schema) = Schema::new("phantomnet_roles", "") else { return };
    let Location::Postgres(own) = schema.source(None).location else { unreachable!() };
    let Some(root) = own.root_certificates.as_deref().and_then(|root| root.to_str()) else { return };
    let mut writer = Connection::open(&own).unwrap();
    for (role, encryption) in [("by_scram", "scram-sha-256"), ("by_md5", "md5"), ("by_clear_text", "scram-sha-256")] {
        let sql = format!(
            "SET password_encryption = '{encryption}'; DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD 'sec/ret@ü'"
        );
        writer.run(&sql).unwrap();
    }
    let place = |role: &str, password: &str, more: &str| {
        format!("postgres://{role}{password}@{}:{}/postgres?query=SELECT current_user{more}", own.host(), own.port())
    };
    let read = |url: &str| read_all(&source(url, None), 10).map(|(rows, _)| rows).map_err(|error| told(&error));
    for role in ["by_scram", "by_md5", "by_clear_text"] {
        for mode in ["disable", "prefer", "require"] {
            let more = format!("&sslmode={mode}");
            let right = read(&place(role, ":sec%2Fret%40%C3%BC", &more));
            // Encrypted for whoever answered, clear text is not sent.
            if (role, mode) == ("by_clear_text", "prefer") {
                assert!(right.as_ref().is_err_and(|error| error.contains("sslmode=require")), "{right:?}");
            } else {
                assert_eq!(right, Ok(vec![format!("[\"{role}\"]")]), "{role} {mode}");
                let wrong = read(&place(role, ":secret", &more)).unwrap_err();
                assert!(wrong.contains("authentication failed") && wrong.contains("PGPASSWORD"), "{wrong}");
                assert!(!wrong.contains("secret"), "{wrong}");
            }
        }
        let none = read(&place(role, "", "&sslmode=require")).unwrap_err();
        assert!(none.contains("wants a password, which neither"), "{none}");
    }
    let error =
        read(&place("by_scram", ":sec%2Fret%40%C3%BC", "&table=pg_authid").replace("query=SELECT current_user&", ""));
    let error = error.unwrap_err();
    assert!(error.contains("permission denied") && error.contains("GRANT SELECT"), "{error}");

    // Who the server is.
    let url = |host: &str, mode: &str, root: &str| {
        let port = own.port();
        let user = own.user.as_deref().unwrap();
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        format!("postgres://{user}@{host}:{port}/postgres?sslmode={mode}&query={sql}{root}")
    };
    let given = format!("&sslrootcert={root}");
    let encrypted = Ok(vec!["[true]".to_owned()]);
    assert_eq!(read(&url("127.0.0.1", "disable", "")), Ok(vec!["[false]".to_owned()]));
    assert_eq!(read(&url("127.0.0.1", "prefer", "")), encrypted);
    assert_eq!(read(&url("127.0.0.1", "require", "")), encrypted);
    assert_eq!(read(&url("127.0.0.1", "require", &given)), encrypted);
    assert_eq!(read(&url("127.0.0.1", "verify-full", &given)), encrypted);
    assert_eq!(read(&url("localhost", "verify-ca", &given)), encrypted);
    let error = read(&url("localhost", "verify-full", &given)).unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
    for mode in ["verify-ca", "verify-full"] {
        let error = read(&url("127.0.0.1", mode, "")).unwrap_err();
        assert!(error.contains("UnknownIssuer") && error.contains("sslrootcert"), "{error}");
    }
    let error = read(&url("127.0.0.1", "verify-full", "&sslrootcert=none.pem")).unwrap_err();
    assert!(error.contains("cannot read the root certificates `none.pem`"), "{error}");
}
