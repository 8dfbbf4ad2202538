//! A connection to a PostgreSQL server: transport, password, messages.
//!
//! Messages are read off the connection one after the other, and values one by one, each once its size is known to be
//! small enough. The library makes what is sent, and the proofs that stand for a password.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::source::database::postgres::tls;
use crate::source::database::url::{Server, TlsMode};
use crate::source::excerpt::visible;

/// Bytes of the longest message that holds no row.
const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// Most rounds of hashing that a server may ask for; its own default is 4096.
const MAX_ROUNDS: u32 = 10_000_000;

/// What goes wrong between a server and us.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the server says: {0}")]
    Server(Complaint),
    #[error(transparent)]
    Io(io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server does not keep to the protocol: {0}")]
    Protocol(&'static str),
    #[error("{0}")]
    Refused(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// An error as a server tells it.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    /// The five characters of SQLSTATE.
    pub(super) code: String,
    message: String,
    detail: String,
    hint: String,
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&visible(&self.message, 300))?;
        for more in [&self.detail, &self.hint].into_iter().filter(|more| !more.is_empty()) {
            write!(f, "; {}", visible(more, 300))?;
        }
        write!(f, " ({})", visible(&self.code, 5))
    }
}

impl Failure {
    /// What to do about it, where that is known.
    pub(super) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Some("is the server running, and does it listen at this host and port?")
            }
            Self::Io(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                Some("the server is away, or something on the way drops what is sent; `connect_timeout` is in seconds")
            }
            Self::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => Some(
                "`sslrootcert` names the certificates in PEM that vouch for the server; `sslmode=require` encrypts \
                 without asking who it is",
            ),
            Self::Server(complaint) => Some(match complaint.code.as_str() {
                "28P01" | "28000" => "give user and password in the URL, or set PGUSER and PGPASSWORD",
                "3D000" => "the database stands after the host: postgres://host:5432/database",
                "42501" => "let the user read it: GRANT SELECT ON ... TO ...",
                "25006" => "events are read in a transaction that is READ ONLY; give a query that changes nothing",
                "53300" => "the server has no connection left; try again later",
                "57014" => "raise `statement_timeout` of the user, or read less",
                "40001" => "a standby server dropped rows that were still being read; read again, or from the primary",
                "57P01" | "57P02" | "57P03" => "the server goes down or comes up; read again later",
                _ => return None,
            }),
            _ => None,
        }
    }
}

type Result<T> = std::result::Result<T, Failure>;

/// What a statement returns and takes.
pub(super) struct Description {
    pub(super) n_parameters: usize,
    /// `None` for a statement that returns no rows.
    pub(super) columns: Option<Vec<Column>>,
}

/// A column of a result.
pub(super) struct Column {
    pub(super) name: String,
    /// Number of its type in the server's catalogue.
    pub(super) type_id: u32,
}

/// What comes next of a statement under way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A row with so many values, which must be read by [`Connection::value`].
    Row { n_values: usize, n_bytes: usize },
    /// As many rows as were asked for have come; there may be more.
    Suspended,
    /// No more rows.
    End,
}

enum Stream {
    Plain(TcpStream),
    #[cfg(unix)]
    Socket(std::os::unix::net::UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Socket(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Stream {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            #[cfg(unix)]
            Self::Socket(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Sets how long each read and write may take.
    fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let stream = match self {
            Self::Plain(stream) => stream,
            #[cfg(unix)]
            Self::Socket(stream) => {
                return stream.set_read_timeout(timeout).and_then(|()| stream.set_write_timeout(timeout));
            }
            Self::Tls(stream) => &stream.sock,
        };
        stream.set_read_timeout(timeout).and_then(|()| stream.set_write_timeout(timeout))
    }
}

/// A connection on which a server awaits statements.
pub(super) struct Connection {
    stream: BufReader<Stream>,
    /// Messages to be sent.
    out: BytesMut,
}

impl Connection {
    pub(super) fn open(server: &Server) -> Result<Self> {
        let user = server.user.as_deref();
        let user = user.ok_or_else(|| Failure::Refused("no user is named, in the URL or by PGUSER".to_owned()))?;
        let stream = connect(server)?;
        stream.set_timeout(Some(server.connect_timeout))?;
        let mut connection = Self { stream: BufReader::with_capacity(64 << 10, stream), out: BytesMut::new() };
        let mut parameters = vec![("user", user), ("client_encoding", "UTF8")];
        parameters.extend(server.database.as_deref().map(|database| ("database", database)));
        parameters.push(("application_name", &server.application_name));
        frontend::startup_message(parameters, &mut connection.out)?;
        connection.authenticate(server, user)?;
        connection.ready()?;
        // From now on the server may think as long as it wants.
        connection.stream.get_ref().set_timeout(None)?;
        Ok(connection)
    }

    fn authenticate(&mut self, server: &Server, user: &str) -> Result<()> {
        let password = || {
            let password = server.password.as_ref().map(|password| password.as_bytes());
            password.ok_or_else(|| {
                Failure::Refused("the server wants a password, which neither the URL nor PGPASSWORD gives".to_owned())
            })
        };
        let mut scram: Option<ScramSha256> = None;
        let mut is_proven = true;
        self.send()?;
        loop {
            let (tag, n_bytes) = self.header()?;
            let body = self.body(n_bytes)?;
            if tag != b'R' {
                return Err(Failure::Protocol("it does not say how to prove who we are"));
            }
            let mut body = Body(&body);
            match (body.int()?, scram.as_mut()) {
                (0, _) if is_proven => return Ok(()),
                (0, _) => return Err(Failure::Protocol("it does not prove that it knows the password")),
                (3, _) if !self.is_private(server) => {
                    return Err(Failure::Refused(
                        "the server wants the password in clear text, which is sent only with `sslmode=require` or \
                         stricter, or within this machine"
                            .to_owned(),
                    ));
                }
                (3, _) => frontend::password_message(password()?, &mut self.out)?,
                (5, _) => {
                    let salt = body.0.first_chunk().ok_or(SHORT)?;
                    let hash = md5_hash(user.as_bytes(), password()?, *salt);
                    frontend::password_message(hash.as_bytes(), &mut self.out)?;
                }
                (10, _) if body.0.split(|&b| b == 0).any(|name| name == SCRAM_SHA_256.as_bytes()) => {
                    let exchange = ScramSha256::new(password()?, ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, exchange.message(), &mut self.out)?;
                    is_proven = false;
                    scram = Some(exchange);
                }
                (11, Some(exchange)) => {
                    if rounds(body.0).is_none_or(|n| n > MAX_ROUNDS) {
                        return Err(Failure::Protocol("it asks for too many rounds of hashing"));
                    }
                    exchange.update(body.0).map_err(|_| Failure::Protocol("its challenge is not valid"))?;
                    frontend::sasl_response(exchange.message(), &mut self.out)?;
                }
                (12, Some(exchange)) => {
                    let proof = exchange.finish(body.0);
                    proof.map_err(|_| Failure::Protocol("it does not prove that it knows the password"))?;
                    is_proven = true;
                }
                _ => {
                    let what = "the server wants a proof of identity other than a password, which is not supported";
                    return Err(Failure::Refused(what.to_owned()));
                }
            }
            self.send()?;
        }
    }

    /// Whether nobody else hears what is sent.
    fn is_private(&self, server: &Server) -> bool {
        match self.stream.get_ref() {
            Stream::Plain(stream) => stream.peer_addr().is_ok_and(|address| address.ip().is_loopback()),
            #[cfg(unix)]
            Stream::Socket(_) => true,
            // Encrypted, but perhaps for whoever sits in between: as far as the caller has chosen to trust.
            Stream::Tls(_) => server.tls() != TlsMode::Prefer,
        }
    }

    /// Runs statements that take nothing and whose rows, if any, are not wanted.
    pub(super) fn run(&mut self, sql: &str) -> Result<()> {
        frontend::query(sql, &mut self.out)?;
        self.send()?;
        self.ready()
    }

    /// Has the server look at one statement, of which it knows more until the next is prepared.
    pub(super) fn describe(&mut self, sql: &str) -> Result<Description> {
        frontend::parse("", sql, [], &mut self.out)?;
        frontend::describe(b'S', "", &mut self.out)?;
        frontend::sync(&mut self.out);
        self.send()?;
        let mut description = Description { n_parameters: 0, columns: None };
        loop {
            let (tag, n_bytes) = self.header()?;
            let body = self.body(n_bytes)?;
            let mut body = Body(&body);
            match tag {
                b'1' | b'n' => {}
                b't' => description.n_parameters = body.short()?.into(),
                b'T' => {
                    let n = body.short()?;
                    description.columns = Some((0..n).map(|_| body.column()).collect::<Result<_>>()?);
                }
                b'Z' => break,
                _ => return Err(Failure::Protocol("it does not describe the statement")),
            }
        }
        Ok(description)
    }

    /// Starts one statement with values for `$1` and so on; its rows come as text, by [`Self::fetch`] and [`Self::next`].
    pub(super) fn start(&mut self, sql: &str, values: &[&str]) -> Result<()> {
        frontend::parse("", sql, [], &mut self.out)?;
        let bound = frontend::bind(
            "",
            "",
            [],
            values,
            |value, out| {
                out.extend_from_slice(value.as_bytes());
                Ok(IsNull::No)
            },
            [],
            &mut self.out,
        );
        bound.map_err(|_| Failure::Refused("a value cannot be sent".to_owned()))
    }

    /// Asks for rows of the statement that was started; all that there are for 0.
    pub(super) fn fetch(&mut self, max_rows: i32) -> Result<()> {
        frontend::execute("", max_rows, &mut self.out)?;
        frontend::sync(&mut self.out);
        Ok(self.send()?)
    }

    /// What comes next of what was asked for.
    pub(super) fn next(&mut self) -> Result<Next> {
        loop {
            let (tag, n_bytes) = self.header()?;
            if tag == b'D' {
                let n_bytes = n_bytes.checked_sub(2).ok_or(SHORT)?;
                let mut n_values = [0; 2];
                self.stream.read_exact(&mut n_values)?;
                return Ok(Next::Row { n_values: u16::from_be_bytes(n_values).into(), n_bytes });
            }
            self.body(n_bytes)?;
            let next = match tag {
                b'1' | b'2' => continue,
                b's' => Next::Suspended,
                b'C' => Next::End,
                _ => return Err(Failure::Protocol("it sends something other than rows")),
            };
            self.ready()?;
            return Ok(next);
        }
    }

    /// Reads the next value of a row into a buffer; `None` for NULL.
    ///
    /// `n_left` is what is left of the row's bytes. A value of more than `max_bytes` is not read, its size is given:
    /// the connection is then in the middle of it, and good for nothing.
    pub(super) fn value(
        &mut self,
        buffer: &mut Vec<u8>,
        n_left: &mut usize,
        max_bytes: usize,
    ) -> Result<Option<std::result::Result<(), usize>>> {
        let mut n_bytes = [0; 4];
        *n_left = n_left.checked_sub(n_bytes.len()).ok_or(SHORT)?;
        self.stream.read_exact(&mut n_bytes)?;
        let Ok(n_bytes) = usize::try_from(i32::from_be_bytes(n_bytes)) else { return Ok(None) };
        *n_left = n_left.checked_sub(n_bytes).ok_or(SHORT)?;
        if n_bytes > max_bytes {
            return Ok(Some(Err(n_bytes)));
        }
        buffer.resize(n_bytes, 0);
        self.stream.read_exact(buffer)?;
        Ok(Some(Ok(())))
    }

    /// The rows of a short answer, as text.
    pub(super) fn rows(&mut self, sql: &str, values: &[&str]) -> Result<Vec<Vec<String>>> {
        const MAX_ROWS: i32 = 10_000;
        self.start(sql, values)?;
        self.fetch(MAX_ROWS)?;
        let (mut rows, mut buffer, mut n_bytes_in_all) = (Vec::new(), Vec::new(), 0);
        while let Next::Row { n_values, n_bytes } = self.next()? {
            n_bytes_in_all += n_bytes;
            if n_bytes_in_all > MAX_MESSAGE_BYTES {
                return Err(LONG);
            }
            let mut row = Vec::with_capacity(n_values);
            let mut n_left = n_bytes;
            for _ in 0..n_values {
                let is_some = self.value(&mut buffer, &mut n_left, MAX_MESSAGE_BYTES)?.is_some();
                row.push(if is_some { String::from_utf8_lossy(&buffer).into_owned() } else { String::new() });
            }
            rows.push(row);
        }
        Ok(rows)
    }

    fn send(&mut self) -> io::Result<()> {
        let sent = self.stream.get_mut().send(&self.out);
        self.out.clear();
        match sent {
            // A server that goes says why before: reading on finds that, or the end.
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
            sent => sent,
        }
    }

    /// Waits until the server awaits the next statement.
    fn ready(&mut self) -> Result<()> {
        loop {
            let (tag, n_bytes) = self.header()?;
            self.skip(n_bytes)?;
            if tag == b'Z' {
                return Ok(());
            }
        }
    }

    /// Kind and bytes of the next message that answers something; an error becomes one.
    fn header(&mut self) -> Result<(u8, usize)> {
        loop {
            let mut header = [0; 5];
            self.stream.read_exact(&mut header)?;
            let [tag, n_bytes @ ..] = header;
            let n_bytes = u32::from_be_bytes(n_bytes).checked_sub(4).ok_or(SHORT)? as usize;
            match tag {
                b'E' => {
                    let complaint = Body(&self.body(n_bytes)?).complaint();
                    return Err(Failure::Server(complaint));
                }
                // Notices, settings and the like come at any time.
                b'N' | b'S' | b'A' | b'K' => self.skip(n_bytes)?,
                _ => return Ok((tag, n_bytes)),
            }
        }
    }

    fn body(&mut self, n_bytes: usize) -> Result<Vec<u8>> {
        if n_bytes > MAX_MESSAGE_BYTES {
            return Err(LONG);
        }
        let mut body = vec![0; n_bytes];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn skip(&mut self, mut n_bytes: usize) -> Result<()> {
        while n_bytes > 0 {
            let n = self.stream.fill_buf()?.len().min(n_bytes);
            if n == 0 {
                return Err(Failure::Closed);
            }
            self.stream.consume(n);
            n_bytes -= n;
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.out.clear();
        frontend::terminate(&mut self.out);
        // A server that is gone needs no farewell.
        let _ = self.send();
    }
}

const SHORT: Failure = Failure::Protocol("a message is too short");
const LONG: Failure = Failure::Protocol("a message is too long");

/// What is left to read of a message.
struct Body<'a>(&'a [u8]);

impl Body<'_> {
    fn short(&mut self) -> Result<u16> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    fn int(&mut self) -> Result<u32> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    fn skip(&mut self, n_bytes: usize) -> Result<()> {
        self.0 = self.0.get(n_bytes..).ok_or(SHORT)?;
        Ok(())
    }

    /// Text up to a zero byte.
    fn text(&mut self) -> Result<String> {
        let end = memchr::memchr(0, self.0).ok_or(SHORT)?;
        let text = String::from_utf8_lossy(&self.0[..end]).into_owned();
        self.0 = &self.0[end + 1..];
        Ok(text)
    }

    fn column(&mut self) -> Result<Column> {
        let name = self.text()?;
        // Table and column that it comes from.
        self.skip(6)?;
        let type_id = self.int()?;
        // Size, modifier and format.
        self.skip(8)?;
        Ok(Column { name, type_id })
    }

    /// As much of an error as can be read.
    fn complaint(&mut self) -> Complaint {
        let mut complaint = Complaint::default();
        while let Some((&kind, rest)) = self.0.split_first() {
            self.0 = rest;
            let Ok(text) = self.text() else { break };
            match kind {
                b'C' => complaint.code = text,
                b'M' => complaint.message = text,
                b'D' => complaint.detail = text,
                b'H' => complaint.hint = text,
                _ => {}
            }
        }
        complaint
    }
}

/// The rounds of hashing in a SCRAM challenge: `r=nonce,s=salt,i=rounds`.
fn rounds(challenge: &[u8]) -> Option<u32> {
    std::str::from_utf8(challenge).ok()?.split(',').find_map(|field| field.strip_prefix("i="))?.parse().ok()
}

fn connect(server: &Server) -> Result<Stream> {
    let host = server.host();
    #[cfg(unix)]
    if host.starts_with('/') {
        let path = format!("{host}/.s.PGSQL.{}", server.port());
        return Ok(Stream::Socket(std::os::unix::net::UnixStream::connect(path).map_err(Failure::Io)?));
    }
    let mut stream = Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
    for address in (host, server.port()).to_socket_addrs().map_err(Failure::Io)? {
        stream = TcpStream::connect_timeout(&address, server.connect_timeout);
        if stream.is_ok() {
            break;
        }
    }
    let mut stream = stream.map_err(Failure::Io)?;
    stream.set_nodelay(true)?;
    let mode = server.tls();
    if mode == TlsMode::Disable {
        return Ok(Stream::Plain(stream));
    }
    stream.set_read_timeout(Some(server.connect_timeout))?;
    stream.set_write_timeout(Some(server.connect_timeout))?;
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request)?;
    // Exactly one byte: what follows is for the encryption to judge.
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    match answer[0] {
        b'S' => {}
        b'N' if mode == TlsMode::Prefer => return Ok(Stream::Plain(stream)),
        b'N' => {
            return Err(Failure::Refused(
                "the server does not encrypt connections, which `sslmode` asks for".to_owned(),
            ));
        }
        _ => return Err(Failure::Protocol("it does not say whether it encrypts; is it PostgreSQL?")),
    }
    let config = Arc::new(tls::config(mode, server.root_certificates.as_deref()).map_err(Failure::Refused)?);
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| Failure::Refused("the host has no name that a certificate could be for".to_owned()))?;
    let mut session = ClientConnection::new(config, name).map_err(|error| Failure::Io(io::Error::other(error)))?;
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    Ok(Stream::Tls(Box::new(StreamOwned::new(session, stream))))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::TcpListener;
    use std::thread;

    use crate::source::database::{DatabaseSource, Location};

    fn server(port: u16, more: &str) -> Server {
        let url = format!("postgres://ana:secret@127.0.0.1:{port}/d?sslmode=disable&connect_timeout=1{more}");
        match DatabaseSource::parse(&url).unwrap().unwrap().location {
            Location::Postgres(server) => server,
            Location::Sqlite(_) => unreachable!(),
        }
    }

    /// What becomes of a connection whose server answers the first message with `says` and says no more.
    fn failure(says: &'static [u8], more: &str) -> Failure {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = server(listener.local_addr().unwrap().port(), more);
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut n_bytes = [0; 4];
            stream.read_exact(&mut n_bytes).unwrap();
            let mut rest = vec![0; u32::from_be_bytes(n_bytes) as usize - 4];
            stream.read_exact(&mut rest).unwrap();
            stream.write_all(says).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut rest);
        });
        let failure = Connection::open(&server).err().expect("no connection");
        peer.join().unwrap();
        failure
    }

    #[test]
    fn a_server_that_breaks_the_rules_is_left() {
        for (says, expected) in [
            (&b""[..], "closed the connection"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "too long"),
            (b"R\0\0\0\x03", "too short"),
            (b"R\0\0\0\x06\0\0", "too short"),
            (b"R\xff\xff\xff\xff\0\0", "too long"),
            (b"Z\0\0\0\x05I", "prove who we are"),
            // Kerberos, a challenge out of turn, and an exchange that is not SCRAM-SHA-256.
            (b"R\0\0\0\x08\0\0\0\x02", "other than a password"),
            (b"R\0\0\0\x08\0\0\0\x0b", "other than a password"),
            (b"R\0\0\0\x0e\0\0\0\x0aOTHER\0", "other than a password"),
            // SCRAM, then a welcome without the server's own proof; then far too many rounds.
            (b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0R\0\0\0\x08\0\0\0\0", "does not prove"),
            (b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0R\0\0\0\x1f\0\0\0\x0br=x,s=AAAA,i=2000000000", "rounds"),
            (b"E\0\0\0\x1dC28P01\0Mnot\x1byou\0Dreally\0\0", "not\\u{1b}you; really (28P01)"),
        ] {
            let failure = failure(says, "");
            let message = failure.to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!format!("{failure:?}").contains("secret"), "{failure:?}");
        }
    }

    #[test]
    fn a_server_without_encryption_is_left_where_that_is_asked_for() {
        assert!(failure(b"N", "&sslmode=require").to_string().contains("does not encrypt"));
        assert!(failure(b"x", "&sslmode=prefer").to_string().contains("is it PostgreSQL?"));
    }

    #[test]
    fn a_server_that_is_silent_is_not_waited_for_long() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = server(listener.local_addr().unwrap().port(), "");
        let failure = Connection::open(&server).err().unwrap();
        assert!(failure.advice().is_some_and(|advice| advice.contains("connect_timeout")), "{failure:?}");
    }

    #[test]
    fn a_server_that_is_not_there_is_said_to_be() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = server(listener.local_addr().unwrap().port(), "");
        drop(listener);
        let failure = Connection::open(&server).err().unwrap();
        assert!(failure.advice().is_some_and(|advice| advice.contains("running")), "{failure:?}");
    }
}
