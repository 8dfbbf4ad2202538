//! Database URLs: taken apart, and shown without the password.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::source::database::{DatabaseSource, Location, Selection};
use crate::source::error::SourceError;
use crate::source::excerpt::visible;

const DEFAULT_PORT: u16 = 5432;
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Parameters of a PostgreSQL URL, as libpq names them, and the two of ours.
const PARAMETERS: &str = "table, query, host, port, dbname, user, password, sslmode, sslrootcert, connect_timeout, \
    application_name, channel_binding";

/// A PostgreSQL server and what is said to it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// A name, an address, or the folder of a Unix socket, which begins with `/`.
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Password>,
    /// Default: the server's choice, which is the name of the user.
    pub(super) database: Option<String>,
    pub(super) tls: Option<TlsMode>,
    /// Certificates, in PEM, of those who may vouch for the server. Default: those that browsers trust.
    pub(super) root_certificates: Option<PathBuf>,
    pub(super) connect_timeout: Duration,
    pub(super) application_name: String,
}

/// When a connection is encrypted, and what the server has to prove; libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    /// Never.
    Disable,
    /// Where the server offers it, whoever it is.
    Prefer,
    /// Always, whoever the server is; with root certificates as `VerifyCa`.
    Require,
    /// Always, with a server for which a root vouches.
    VerifyCa,
    /// Always, with a server for which a root vouches under the very name that is connected to.
    VerifyFull,
}

/// A password, which no formatting shows.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Password {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl TlsMode {
    const ALL: [Self; 5] = [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    fn from_name(name: &str) -> Result<Self, String> {
        let valid = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == name)
            .ok_or_else(|| format!("`sslmode` must be one of {}, got `{}`", valid(), visible(name, 40)))
    }
}

impl Server {
    pub(super) fn host(&self) -> &str {
        self.host.as_deref().unwrap_or("localhost")
    }

    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }

    pub(super) fn tls(&self) -> TlsMode {
        match self.tls {
            None => TlsMode::Prefer,
            Some(TlsMode::Require) if self.root_certificates.is_some() => TlsMode::VerifyCa,
            Some(mode) => mode,
        }
    }

    /// Takes what the URL leaves open from the variables of libpq.
    fn complete(&mut self, variable: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if self.host.is_none() {
            self.host = variable("PGHOST");
            if let (None, Some(port)) = (self.port, variable("PGPORT")) {
                self.port = Some(port_number(&port).map_err(|reason| format!("{reason} (PGPORT)"))?);
            }
        }
        self.user = self.user.take().or_else(|| variable("PGUSER")).or_else(|| variable("USER"));
        self.database = self.database.take().or_else(|| variable("PGDATABASE"));
        if let (None, Some(mode)) = (self.tls, variable("PGSSLMODE")) {
            self.tls = Some(TlsMode::from_name(&mode).map_err(|reason| format!("{reason} (PGSSLMODE)"))?);
        }
        if self.root_certificates.is_none() {
            self.root_certificates = variable("PGSSLROOTCERT").map(PathBuf::from);
        }
        if self.password.is_none() {
            let file = variable("PGPASSFILE")
                .map(PathBuf::from)
                .or_else(|| Some(Path::new(&variable("HOME")?).join(".pgpass")));
            let kept = || private_file(&file?).and_then(|lines| self.kept_password(&lines));
            self.password = variable("PGPASSWORD").or_else(kept).map(Password);
        }
        Ok(())
    }

    /// The password of a file whose lines are `host:port:database:user:password`, `*` standing for anything.
    fn kept_password(&self, lines: &str) -> Option<String> {
        let user = self.user.as_deref()?;
        let host = Some(self.host()).filter(|host| !host.starts_with('/')).unwrap_or("localhost");
        let port = self.port().to_string();
        let sought = [host, &port, self.database.as_deref().unwrap_or(user), user];
        lines.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let mut fields: [String; 5] = Default::default();
            let (mut n, mut chars) = (0, line.chars());
            while let Some(c) = chars.next() {
                match c {
                    // A password may hold colons of its own.
                    ':' if n < 4 => n += 1,
                    '\\' => fields[n].extend(chars.next()),
                    c => fields[n].push(c),
                }
            }
            let [kept @ .., password] = fields;
            let fits = n == 4 && kept.iter().zip(sought).all(|(kept, sought)| kept == "*" || kept == sought);
            fits.then_some(password)
        })
    }
}

/// Text of a file that nobody but its owner may read, as libpq wants it of one with passwords.
fn private_file(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if fs::metadata(path).ok()?.permissions().mode() & 0o077 != 0 {
            return None;
        }
    }
    fs::read_to_string(path).ok()
}

impl DatabaseSource {
    /// Takes a URL apart: `postgres://user@host:5432/database` (or `postgresql://`), `sqlite:///relative.db` or
    /// `sqlite:////absolute/path.db`; `None` for anything else, such as the path of a file.
    ///
    /// Parameters come after `?` and between `&`: `table=events` or `query=SELECT ...`, and for PostgreSQL those of libpq
    /// that [`SourceError::DatabaseUrl`] names. `%`, `&` and what is special in a URL are written as `%25`, `%26` and so
    /// on; blanks may stay, and `+` is a plus. The path of SQLite is taken as it is, up to the first `?`.
    pub fn parse(url: &str) -> Option<Result<Self, SourceError>> {
        let (scheme, rest) = url.split_once("://")?;
        let is = |name: &str| scheme.eq_ignore_ascii_case(name);
        let (scheme, parsed) = if is("sqlite") {
            ("sqlite", sqlite(rest))
        } else if is("postgres") || is("postgresql") {
            ("postgres", postgres(rest))
        } else {
            return None;
        };
        Some(parsed.map_err(|reason| SourceError::DatabaseUrl { scheme, reason }))
    }

    /// With what the URL leaves open taken from the variables that PostgreSQL's own programs read: `PGHOST`, `PGPORT`,
    /// `PGUSER` (or `USER`), `PGPASSWORD`, `PGPASSFILE` (or `.pgpass` in `HOME`), `PGDATABASE`, `PGSSLMODE` and
    /// `PGSSLROOTCERT`.
    ///
    /// # Errors
    /// [`SourceError::DatabaseUrl`] for a value that is not valid.
    pub fn with_variables(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, SourceError> {
        if let Location::Postgres(server) = &mut self.location {
            let invalid = |reason| SourceError::DatabaseUrl { scheme: "postgres", reason };
            server.complete(&variable).map_err(invalid)?;
        }
        Ok(self)
    }

    /// The URL without its password, fit for messages and runs; it can be parsed again.
    pub fn display(&self) -> String {
        let mut out = self.place();
        let mut separator = '?';
        let mut add = |name: &str, value: &str| {
            out.extend([&separator.to_string(), name, "=", &escaped(value, |c| !"%&".contains(c))]);
            separator = '&';
        };
        if let Location::Postgres(server) = &self.location {
            if let Some(mode) = server.tls {
                add("sslmode", mode.name());
            }
            if let Some(path) = &server.root_certificates {
                add("sslrootcert", &path.to_string_lossy());
            }
        }
        match &self.selection {
            Some(Selection::Table(table)) => add("table", table),
            Some(Selection::Query(query)) => add("query", query),
            None => {}
        }
        out
    }

    /// The URL up to its parameters, without the password.
    pub(super) fn place(&self) -> String {
        let server = match &self.location {
            Location::Sqlite(path) => return format!("sqlite:///{}", escaped(&path.to_string_lossy(), |_| true)),
            Location::Postgres(server) => server,
        };
        let plain = |text: &str| escaped(text, |c| c.is_alphanumeric() || "-._~".contains(c));
        let mut out = "postgres://".to_owned();
        if let Some(user) = &server.user {
            out.extend([&plain(user), "@"]);
        }
        let host = server.host();
        let host = if host.contains(':') && !host.starts_with('/') { format!("[{host}]") } else { plain(host) };
        out.push_str(&format!("{host}:{}", server.port()));
        if let Some(database) = &server.database {
            out.extend(["/", &plain(database)]);
        }
        out
    }
}

impl fmt::Display for DatabaseSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display())
    }
}

fn sqlite(rest: &str) -> Result<DatabaseSource, String> {
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path
        .strip_prefix('/')
        .ok_or("a path follows three slashes, as in `sqlite:///relative.db` and `sqlite:////absolute/path.db`")?;
    if path.is_empty() || path == ":memory:" || path.contains('\0') {
        return Err("it names no file".to_owned());
    }
    let mut selection = None;
    for (name, value) in
        parameters.split('&').filter(|p| !p.is_empty()).map(parameter).collect::<Result<Vec<_>, _>>()?
    {
        if !select(&mut selection, name, &value)? {
            return Err(format!("parameter `{}` is not known; known are table and query", visible(name, 40)));
        }
    }
    Ok(DatabaseSource { location: Location::Sqlite(path.into()), selection })
}

/// No reason may show what stands where the password could: a password with `/`, `?` or `@` in it is cut in odd places.
fn postgres(rest: &str) -> Result<DatabaseSource, String> {
    let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user_info, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user_info.split_once(':').map_or((user_info, None), |(user, it)| (user, Some(it)));
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or("its host is not valid")?)),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    if database.contains(['/', '@']) || user.contains('@') {
        return Err("it has a `/` or `@` where none can be".to_owned());
    }
    if address.contains(',') {
        return Err("it names several hosts; name the one to read from".to_owned());
    }
    let some = |text: &str| Ok::<_, String>(Some(decoded(text)?).filter(|text| !text.is_empty()));
    let mut server = Server {
        host: some(host)?,
        port: port.filter(|port| !port.is_empty()).map(port_number).transpose()?,
        user: some(user)?,
        password: some(password.unwrap_or_default())?.map(Password),
        database: some(database)?,
        tls: None,
        root_certificates: None,
        connect_timeout: DEFAULT_CONNECT_TIMEOUT,
        application_name: "phantomnet".to_owned(),
    };
    let mut selection = None;
    for text in parameters.split('&').filter(|text| !text.is_empty()) {
        let (name, value) = parameter(text)?;
        let own = Some(value.clone()).filter(|value| !value.is_empty());
        match name {
            "host" => server.host = own,
            "port" => server.port = Some(port_number(&value)?),
            "dbname" => server.database = own,
            "user" => server.user = own,
            "password" => server.password = own.map(Password),
            "sslmode" => server.tls = Some(TlsMode::from_name(&value)?),
            "sslrootcert" => server.root_certificates = own.map(PathBuf::from),
            "application_name" => server.application_name = value,
            "connect_timeout" => {
                let seconds = value.parse().ok().filter(|s| (1..=3600).contains(s));
                server.connect_timeout =
                    Duration::from_secs(seconds.ok_or("`connect_timeout` must be 1 to 3600 seconds")?);
            }
            "channel_binding" if matches!(value.as_str(), "disable" | "prefer") => {}
            "channel_binding" => return Err("channel binding is not supported; leave `channel_binding` out".to_owned()),
            _ if select(&mut selection, name, &value)? => {}
            // It may be a part of a password.
            _ if parameters.contains('@') => return Err(format!("a parameter is not known; known are {PARAMETERS}")),
            _ => return Err(format!("parameter `{}` is not known; known are {PARAMETERS}", visible(name, 40))),
        }
    }
    let texts = [&server.host, &server.user, &server.database];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) || server.application_name.contains('\0') {
        return Err("it holds a zero byte".to_owned());
    }
    Ok(DatabaseSource { location: Location::Postgres(server), selection })
}

/// Takes note of what is read; `false` for a parameter of another name.
fn select(selection: &mut Option<Selection>, name: &str, value: &str) -> Result<bool, String> {
    let found = match name {
        "table" => Selection::Table(value.to_owned()),
        "query" => Selection::Query(value.to_owned()),
        _ => return Ok(false),
    };
    if value.trim().is_empty() || value.contains('\0') {
        return Err(format!("its `{name}` is empty or holds a zero byte"));
    }
    match selection.replace(found) {
        None => Ok(true),
        Some(_) => Err("it names more than one table or query".to_owned()),
    }
}

fn parameter(text: &str) -> Result<(&str, String), String> {
    let (name, value) = text.split_once('=').ok_or("its parameters must be of the form `name=value`")?;
    Ok((name, decoded(value)?))
}

fn port_number(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|&port| port > 0).ok_or_else(|| "its port is not a number from 1 to 65535".to_owned())
}

fn decoded(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err("it has a `%` that two hexadecimal digits do not follow; `%` itself is `%25`".to_owned());
        };
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8(out).map_err(|_| "it is not UTF-8 once its `%` are decoded; `%` itself is `%25`".to_owned())
}

/// Text with the characters that are not kept, and whatever cannot be printed, as `%` and digits.
fn escaped(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let prints = "'\"\\".contains(c) || c.escape_debug().len() == 1;
        if prints && keep(c) {
            out.push(c);
        } else {
            out.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|b| format!("%{b:02X}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;
    use rstest::rstest;

    fn parsed(url: &str) -> DatabaseSource {
        DatabaseSource::parse(url).expect("a database URL").unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn server(url: &str) -> Server {
        match parsed(url).location {
            Location::Postgres(server) => server,
            Location::Sqlite(_) => panic!("{url} is no server"),
        }
    }

    #[rstest]
    #[case("events.csv")]
    #[case("logs/*.jsonl.gz")]
    #[case("http://host/events")]
    #[case("postgres:events")]
    #[case("")]
    fn other_texts_are_no_database_urls(#[case] text: &str) {
        assert!(DatabaseSource::parse(text).is_none());
    }

    #[rstest]
    #[case("postgres://host/db", "postgres://host:5432/db")]
    #[case("postgresql://ana:secret@host:6543/db?table=events", "postgres://ana@host:6543/db?table=events")]
    #[case("POSTGRES://ana:secret@host", "postgres://ana@host:5432")]
    #[case("postgres://", "postgres://localhost:5432")]
    #[case("postgres://ana:sec%40ret%2F@[::1]:7/db", "postgres://ana@[::1]:7/db")]
    #[case("postgres://ana:se@cret@host/db", "postgres://ana@host:5432/db")]
    #[case("postgres://ana:se:cret@host/db", "postgres://ana@host:5432/db")]
    #[case("postgres://ana:secret#@host/db", "postgres://ana@host:5432/db")]
    #[case(
        "postgres://host/db?user=ana&password=secret&sslmode=require",
        "postgres://ana@host:5432/db?sslmode=require"
    )]
    #[case("postgres://ana@host/a%2Fb", "postgres://ana@host:5432/a%2Fb")]
    #[case("postgres:///db?host=/run/postgresql&port=5433", "postgres://%2Frun%2Fpostgresql:5433/db")]
    #[case("postgres://h/d?connect_timeout=3&application_name=x&channel_binding=prefer", "postgres://h:5432/d")]
    #[case(
        "postgres://h/d?query=SELECT%20a%2Bb%20FROM%20t%20WHERE%20c%26d%3E0",
        "postgres://h:5432/d?query=SELECT a+b FROM t WHERE c%26d>0"
    )]
    #[case("postgres://h/d?query=SELECT a+b", "postgres://h:5432/d?query=SELECT a+b")]
    #[case("postgres://h/d?query=SELECT%0A%1B%5B31m", "postgres://h:5432/d?query=SELECT%0A%1B[31m")]
    #[case("sqlite:///events.db", "sqlite:///events.db")]
    #[case("sqlite:////var/a b/50%.db?table=my%25table", "sqlite:////var/a b/50%.db?table=my%25table")]
    #[case("sqlite:///x.db?query=SELECT * FROM t WHERE a = 'x'", "sqlite:///x.db?query=SELECT * FROM t WHERE a = 'x'")]
    fn urls_are_shown_without_a_password(#[case] url: &str, #[case] expected: &str) {
        let source = parsed(url);
        assert_eq!(source.display(), expected);
        assert_eq!(source.to_string(), expected);
        assert!(!format!("{source:?}").contains("sec"), "{source:?}");
        assert_eq!(parsed(expected).display(), expected);
    }

    #[test]
    fn a_password_is_what_stands_there() {
        let password = |url: &str| server(url).password.map(|Password(text)| text);
        assert_eq!(password("postgres://a:s%40%2Fc%3F@h/d").as_deref(), Some("s@/c?"));
        assert_eq!(password("postgres://a:b@c:d@h/d").as_deref(), Some("b@c:d"));
        assert_eq!(password("postgres://a@h/d?password=x%26y").as_deref(), Some("x&y"));
        assert_eq!(password("postgres://a@h/d"), None);
        assert_eq!(password("postgres://a:@h/d"), None);
    }

    #[rstest]
    #[case("postgres://ana:secret/word@host/db", "`/` or `@`")]
    #[case("postgres://ana:secret/db", "port")]
    #[case("postgres://ana:12/secret@host/db", "`/` or `@`")]
    #[case("postgres://ana:12?secret@host/db", "name=value")]
    #[case("postgres://ana:12?secret=secret@host/db", "a parameter is not known")]
    #[case("postgres://ana:sec%ret@host/db", "%25")]
    #[case("postgres://ana:%ff@host/db", "UTF-8")]
    #[case("postgres://host:0/db", "port")]
    #[case("postgres://host:65536/db", "port")]
    #[case("postgres://a:1,b:2/db", "several hosts")]
    #[case("postgres://[::1/db", "port")]
    #[case("postgres://[::1]5/db", "host")]
    #[case("postgres://h/d?sslmode=on", "disable, prefer, require, verify-ca, verify-full")]
    #[case("postgres://h/d?tabel=events", "parameter `tabel` is not known")]
    #[case("postgres://h/d?table=", "`table` is empty")]
    #[case("postgres://h/d?table=a&query=SELECT 1", "more than one")]
    #[case("postgres://h/d?table=a&table=b", "more than one")]
    #[case("postgres://h/d?connect_timeout=0", "1 to 3600")]
    #[case("postgres://h/d?channel_binding=require", "channel binding")]
    #[case("postgres://h/d%00", "zero byte")]
    #[case("sqlite://events.db", "three slashes")]
    #[case("sqlite:///", "no file")]
    #[case("sqlite:///:memory:", "no file")]
    #[case("sqlite:///?table=x", "no file")]
    #[case("sqlite:///a.db?mode=ro", "parameter `mode` is not known")]
    fn wrong_urls_say_what_is_wrong_and_no_password(#[case] url: &str, #[case] expected: &str) {
        let error = DatabaseSource::parse(url).expect("a database URL").expect_err(url);
        let message = format!("{error} {:?} {error:?}", error.hint());
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("secret") && !message.contains("sec%ret"), "{message}");
    }

    #[test]
    fn a_selection_of_the_caller_goes_before_that_of_the_url() {
        let source = parsed("sqlite:///a.db?table=t").with(Selection::Query("SELECT 1".to_owned()));
        assert_eq!(source.display(), "sqlite:///a.db?query=SELECT 1");
    }

    #[test]
    fn what_the_url_leaves_open_comes_from_variables() {
        let variables = |name: &str| {
            let value = match name {
                "PGHOST" => "db.example",
                "PGPORT" => "6000",
                "PGUSER" => "ana",
                "PGPASSWORD" => "secret",
                "PGDATABASE" => "honeypot",
                "PGSSLMODE" => "verify-full",
                "PGSSLROOTCERT" => "root.pem",
                _ => "",
            };
            Some(value.to_owned())
        };
        let open = parsed("postgres://").with_variables(variables).unwrap();
        let shown = "postgres://ana@db.example:6000/honeypot?sslmode=verify-full&sslrootcert=root.pem";
        assert_eq!(open.display(), shown);
        assert!(!format!("{open:?}").contains("secret"));
        let said = parsed("postgres://b:own@h/d?sslmode=disable").with_variables(variables).unwrap();
        assert_eq!(said.display(), "postgres://b@h:5432/d?sslmode=disable&sslrootcert=root.pem");
        let Location::Postgres(server) = said.location else { panic!("it is a server") };
        assert_eq!(server.password, Some(Password("own".to_owned())));
        let wrong = parsed("postgres://").with_variables(|name| (name == "PGPORT").then(|| "x".to_owned()));
        assert!(wrong.unwrap_err().to_string().contains("PGPORT"));
    }

    #[rstest]
    #[case("postgres://ana@h/d", Some("first"))]
    #[case("postgres://bob@h:1/d", Some("any:host\\"))]
    #[case("postgres://eve@h/d", None)]
    #[case("postgres://ana@h/other", None)]
    #[case("postgres://root@/d?host=/run/postgresql", Some("socket"))]
    fn passwords_are_looked_up_in_a_file(#[case] url: &str, #[case] expected: Option<&str>) {
        let file = "# h:5432:d:ana:comment\nh:5432:d:ana:first\nh:5432:d:ana:second\n*:1:*:bob:any:host\\\\\n\
                    localhost:*:*:root:socket\nbroken";
        assert_eq!(server(url).kept_password(file).as_deref(), expected);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_passwords_that_others_may_read_is_not_read() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "*:*:*:*:kept").unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let of = |mode| {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            let variables = |name: &str| (name == "PGPASSFILE").then(|| path.clone());
            match parsed("postgres://ana@h/d").with_variables(variables).unwrap().location {
                Location::Postgres(server) => server.password.map(|Password(text)| text),
                Location::Sqlite(_) => None,
            }
        };
        assert_eq!(of(0o600).as_deref(), Some("kept"));
        assert_eq!(of(0o644), None);
    }

    proptest! {
        #[test]
        fn any_table_and_query_come_back_from_what_is_shown(text in "[^\0]*[^\0\\s][^\0]*", table: bool) {
            let selection = if table { Selection::Table(text) } else { Selection::Query(text) };
            let source = parsed("postgres://ana@h:5432/d").with(selection);
            prop_assert_eq!(parsed(&source.display()), source);
        }

        #[test]
        fn any_text_after_a_scheme_is_no_panic(rest: String) {
            let _ = DatabaseSource::parse(&format!("postgres://{rest}"));
            let _ = DatabaseSource::parse(&format!("sqlite://{rest}"));
        }
    }
}
