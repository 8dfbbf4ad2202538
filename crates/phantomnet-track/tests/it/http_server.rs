//! Just enough of an HTTP/1.1 server to play one that misbehaves.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// Method and path with query.
    pub(crate) line: String,
    /// Lines of the head, without the first.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The head and body as bytes, for another server.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let (method, path) = self.line.split_once(' ').expect("two words");
        let mut bytes = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
        let kept = self.headers.iter().filter(|line| !line.to_lowercase().starts_with("connection:"));
        kept.for_each(|line| bytes.extend(format!("{line}\r\n").bytes()));
        bytes.extend(b"Connection: close\r\n\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let first = lines.first()?.rsplit_once(' ')?.0.to_owned();
    let mut request = Request { line: first, headers: lines.split_off(1), body: Vec::new() };
    let n_bytes = request.header("Content-Length").map_or(0, |text| text.parse().expect("a number"));
    request.body.resize(n_bytes, 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// Answers each request, on a connection of its own, by what `answer` gives: the bytes of the answer, none to hang up.
/// Gives the server's URI and the requests that have come.
pub(crate) fn serve(
    answer: impl Fn(usize, &Request) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<Request>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let uri = format!("http://{}", listener.local_addr().expect("bound"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (requests, answer) = (Arc::clone(&seen), Arc::new(answer));
    // Ends with the process.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
            thread::spawn(move || {
                let Some(request) = read_request(&stream) else { return };
                let n = {
                    let mut requests = requests.lock().expect("no panic");
                    requests.push(request.clone());
                    requests.len() - 1
                };
                if let Some(bytes) = answer(n, &request) {
                    let _ = (&stream).write_all(&bytes);
                }
            });
        }
    });
    (uri, seen)
}

/// An answer with its length.
pub(crate) fn answer(status: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    headers.iter().for_each(|line| text.push_str(&format!("{line}\r\n")));
    format!("{text}\r\n{body}").into_bytes()
}

/// An answer in JSON.
pub(crate) fn json(status: &str, body: &str) -> Vec<u8> {
    answer(status, &["Content-Type: application/json"], body)
}
