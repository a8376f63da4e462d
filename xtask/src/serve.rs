//! `cargo xtask serve`: serves `dist`, and opens it where there is a display.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::paths;
use crate::server::Server;

/// Serves `dist` until the process is ended.
pub fn serve(port: u16, open: bool) -> Result<()> {
    if !paths::dist().join("index.html").is_file() {
        bail!("there is no dist/index.html to serve; leave out --no-build");
    }
    let server = Server::start(paths::dist(), port, |_, answer| answer)?;
    // Not 127.0.0.1: both are this machine, and this one is easier to type.
    let url = server.url().replace("127.0.0.1", "localhost");
    let opened = open && open_browser(&url);
    eprintln!("▸ Kiln is at {url}{} (Ctrl+C ends it)", if opened { ", and in your browser" } else { "" });
    server.wait();
    Ok(())
}

/// Opens an address if there is a display to open it on.
fn open_browser(url: &str) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let (program, arguments): (_, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("cmd", &["/c", "start"])
    } else if set("DISPLAY") || set("WAYLAND_DISPLAY") {
        ("xdg-open", &[])
    } else {
        return false;
    };
    Command::new(program).args(arguments).arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok()
}
