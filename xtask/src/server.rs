//! A small static server for `dist`: what any static host does, and nothing that one may not do.
//!
//! Used by `cargo xtask serve` and by the end-to-end tests, which have it answer wrongly and count what was asked for.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use anyhow::{Result, anyhow};
use tiny_http::{Method, Request, StatusCode};

/// Requests answered at the same time.
const THREADS: usize = 4;

/// An answer before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status: 200, 404 or 405.
    pub status: u16,
    /// The `Content-Type`.
    pub mime: &'static str,
    /// The content.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer in words.
    pub fn text(status: u16, words: &str) -> Answer {
        Answer { status, mime: "text/plain; charset=utf-8", body: words.as_bytes().to_vec() }
    }
}

/// May change the answer for a path (such as `/data/manifest.json`) before it is sent.
pub type Hook = dyn Fn(&str, Answer) -> Answer + Send + Sync;

/// A running server. It answers nothing once it is dropped; its port is free a moment later, when the thread that
/// accepts connections, which belongs to tiny_http and can't be joined, has seen that it is to end.
pub struct Server {
    http: Arc<tiny_http::Server>,
    counts: Arc<Mutex<BTreeMap<String, usize>>>,
    threads: Vec<JoinHandle<()>>,
    address: SocketAddr,
}

impl Server {
    /// Serves the files in `folder` on this machine alone. Port 0 takes a free one.
    pub fn start(
        folder: impl Into<PathBuf>,
        port: u16,
        hook: impl Fn(&str, Answer) -> Answer + Send + Sync + 'static,
    ) -> Result<Server> {
        let http = tiny_http::Server::http((Ipv4Addr::LOCALHOST, port))
            .map_err(|error| anyhow!("port {port} can't be used ({error}); choose another one with --port"))?;
        let address = http.server_addr().to_ip().ok_or_else(|| anyhow!("the server has no address"))?;
        let http = Arc::new(http);
        let counts = Arc::new(Mutex::new(BTreeMap::new()));
        let (folder, hook): (Arc<Path>, Arc<Hook>) = (folder.into().into(), Arc::new(hook));
        let threads = (0..THREADS)
            .map(|_| {
                let (http, counts, folder, hook) = (http.clone(), counts.clone(), folder.clone(), hook.clone());
                std::thread::spawn(move || {
                    while let Ok(request) = http.recv() {
                        answer(request, &folder, &counts, &*hook);
                    }
                })
            })
            .collect();
        Ok(Server { http, counts, threads, address })
    }

    /// The address, with a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How often each path was asked for, since the start.
    pub fn requests(&self) -> BTreeMap<String, usize> {
        self.counts.lock().expect("counting does not panic").clone()
    }

    /// Serves until the process is ended.
    pub fn wait(mut self) {
        for thread in std::mem::take(&mut self.threads) {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One waiting thread is woken by each call.
        for _ in &self.threads {
            self.http.unblock();
        }
        for thread in std::mem::take(&mut self.threads) {
            let _ = thread.join();
        }
    }
}

fn answer(request: Request, folder: &Path, counts: &Mutex<BTreeMap<String, usize>>, hook: &Hook) {
    let path = request.url().split(['?', '#']).next().unwrap_or_default().to_string();
    *counts.lock().expect("counting does not panic").entry(path.clone()).or_default() += 1;
    let answer = match request.method() {
        Method::Get | Method::Head => look_up(folder, &path),
        _ => Answer::text(405, "only GET and HEAD"),
    };
    let answer = hook(&path, answer);
    // The browser may have gone away; there is nobody to tell.
    let _ = respond(request, &answer);
}

/// Answers, and asks the browser to end the connection. tiny_http 0.12 has a thread wait on each connection that stays
/// open; and where two come at once it may count on one idle thread for both, so that the second is not heard before
/// some other connection ends. It lets no answer of its own say `Connection`, so this one is written by hand.
fn respond(request: Request, answer: &Answer) -> std::io::Result<()> {
    let head_alone = *request.method() == Method::Head;
    let mut writer = request.into_writer();
    write!(
        writer,
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
        answer.status,
        StatusCode(answer.status).default_reason_phrase(),
        answer.mime,
        answer.body.len()
    )?;
    // A build changes under the same names: ask each time.
    write!(writer, "Cache-Control: no-cache\r\nConnection: close\r\n\r\n")?;
    if !head_alone {
        writer.write_all(&answer.body)?;
    }
    writer.flush()
}

/// The file for a path. Nothing outside of `folder` has a path.
fn look_up(folder: &Path, path: &str) -> Answer {
    let Some(relative) = path.strip_prefix('/') else { return Answer::text(404, "not found") };
    let plain = |part: Component| matches!(part, Component::Normal(_));
    // A backslash separates folders on some systems.
    if relative.contains('\\') || !Path::new(relative).components().all(plain) {
        return Answer::text(404, "not found");
    }
    let mut file = folder.join(relative);
    if relative.is_empty() || relative.ends_with('/') {
        file.push("index.html");
    }
    match fs::read(&file) {
        Ok(body) => Answer { status: 200, mime: mime(&file), body },
        Err(_) => Answer::text(404, "not found"),
    }
}

fn mime(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        // Only with this type does a browser compile while it loads.
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        // Shards (.gz) too, and with no Content-Encoding: the worker wants the bytes whose hash it knows.
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// A folder with a page in it, beside a file that is not to be had.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("dist/data")).unwrap();
        fs::write(folder.path().join("secret.txt"), "secret").unwrap();
        fs::write(folder.path().join("dist/index.html"), "page").unwrap();
        fs::write(folder.path().join("dist/page_bg.wasm"), "\0asm").unwrap();
        fs::write(folder.path().join("dist/data/a.kiln.gz"), "shard").unwrap();
        folder
    }

    fn serve(hook: impl Fn(&str, Answer) -> Answer + Send + Sync + 'static) -> (tempfile::TempDir, Server) {
        let folder = folder();
        let server = Server::start(folder.path().join("dist"), 0, hook).unwrap();
        (folder, server)
    }

    /// The whole answer to a request line, sent as it is: a client would tidy up the path.
    fn ask(server: &Server, line: &str) -> String {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        write!(stream, "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn files_come_with_the_type_that_a_browser_needs() {
        let (_folder, server) = serve(|_, answer| answer);
        let page = ask(&server, "GET /?device=cpu");
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("text/html") && page.ends_with("page"), "{page}");
        assert!(ask(&server, "GET /page_bg.wasm").contains("application/wasm"));
        let shard = ask(&server, "GET /data/a.kiln.gz");
        assert!(shard.contains("application/octet-stream") && !shard.contains("Content-Encoding"), "{shard}");
        assert!(shard.contains("no-cache"), "{shard}");
    }

    #[test]
    fn nothing_outside_of_the_folder_is_served() {
        let (_folder, server) = serve(|_, answer| answer);
        for path in [
            "/../secret.txt",
            "/data/../../secret.txt",
            "/%2e%2e/secret.txt",
            "//etc/passwd",
            "/..\\secret.txt",
            "secret.txt",
        ] {
            let answer = ask(&server, &format!("GET {path}"));
            assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains("\r\n\r\nsecret"), "{path}: {answer}");
        }
    }

    #[test]
    fn an_answer_ends_its_connection_and_to_head_it_has_no_content() {
        let (_folder, server) = serve(|_, answer| answer);
        let head = ask(&server, "HEAD /index.html");
        assert!(head.contains("Connection: close\r\n") && head.contains("Content-Length: 4\r\n"), "{head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn a_method_that_changes_something_is_refused() {
        let (_folder, server) = serve(|_, answer| answer);
        assert!(ask(&server, "DELETE /index.html").starts_with("HTTP/1.1 405"));
    }

    #[test]
    fn a_hook_changes_an_answer_and_requests_are_counted() {
        let (_folder, server) = serve(|path, mut answer| match path {
            "/data/a.kiln.gz" => {
                answer.body[0] ^= 1;
                answer
            }
            "/page_bg.wasm" => Answer::text(404, "gone"),
            _ => answer,
        });
        assert!(ask(&server, "GET /data/a.kiln.gz").ends_with("rhard"));
        assert!(ask(&server, "GET /page_bg.wasm").starts_with("HTTP/1.1 404"));
        ask(&server, "GET /data/a.kiln.gz?again");
        assert_eq!(server.requests()["/data/a.kiln.gz"], 2);
    }

    #[test]
    fn a_server_stops_when_it_is_dropped() {
        let (_folder, server) = serve(|_, answer| answer);
        let address = server.address;
        drop(server);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while let Err(error) = std::net::TcpListener::bind(address) {
            assert!(std::time::Instant::now() < deadline, "the port is still taken: {error}");
            std::thread::yield_now();
        }
    }
}
