//! The built folder on a server that can be made to answer wrongly.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use xtask::server::{Answer, Server};

/// A held answer is given at the latest after this time, so that no thread waits for good.
const LONGEST_HOLD: Duration = Duration::from_secs(240);

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One bit in the middle differs.
    Altered,
    /// The second half is missing.
    Truncated,
    /// 404.
    Missing,
    /// Other content, of the right type.
    Nonsense,
    /// It comes once [`Site::mend`] was called, and not before.
    Held,
}

/// The site under test.
pub struct Site {
    server: Server,
    rules: Arc<Rules>,
}

/// The folder in `KILN_DIST`, or the project's `dist`.
fn folder() -> PathBuf {
    std::env::var_os("KILN_DIST").map_or_else(xtask::paths::dist, PathBuf::from)
}

/// Which paths are answered wrongly, by their beginnings.
#[derive(Default)]
struct Rules {
    faults: Mutex<Vec<(String, Fault)>>,
    mended: Condvar,
}

impl Site {
    /// Serves the folder in `KILN_DIST`, or the project's `dist`.
    ///
    /// # Panics
    /// When it was not built.
    pub fn start() -> Site {
        Self::of(&folder())
    }

    /// Serves a built folder.
    ///
    /// # Panics
    /// When it was not built.
    pub fn of(folder: &Path) -> Site {
        assert!(
            folder.join("index.html").is_file(),
            "there is no page in {}; build it by `cargo xtask build --dev`, or name its folder in KILN_DIST",
            folder.display()
        );
        let rules = Arc::new(Rules::default());
        let hook = {
            let rules = rules.clone();
            move |path: &str, answer: Answer| rules.apply(path, answer)
        };
        let server = Server::start(folder, 0, hook).expect("a free port can be had");
        Site { server, rules }
    }

    /// The path of the second file of the page's code, which only the published build has.
    pub fn second_file() -> Option<String> {
        let folders = std::fs::read_dir(folder()).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut paths = folders.map(|name| format!("/{name}/split_rest.wasm"));
        paths.find(|path| folder().join(&path[1..]).is_file())
    }

    /// The same site, with something wrong from the start.
    pub fn with(self, path: &str, fault: Fault) -> Site {
        self.spoil(path, fault);
        self
    }

    /// From now on what lies under a path that begins so is answered wrongly.
    pub fn spoil(&self, path: &str, fault: Fault) {
        self.rules.lock().push((path.to_owned(), fault));
    }

    /// From now on everything is answered as it should be.
    pub fn mend(&self) {
        self.rules.lock().clear();
        self.rules.mended.notify_all();
    }

    /// The site's address, with a slash at its end.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// How often anything under a path that begins so was asked for.
    pub fn requests(&self, path: &str) -> usize {
        self.server.requests().into_iter().filter(|(asked, _)| asked.starts_with(path)).map(|(_, count)| count).sum()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The server waits for its threads when it is dropped.
        self.mend();
    }
}

impl Rules {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, Fault)>> {
        self.faults.lock().expect("nothing panics while it holds the list")
    }

    fn apply(&self, path: &str, mut answer: Answer) -> Answer {
        let fault =
            |faults: &[(String, Fault)]| faults.iter().find(|(part, _)| path.starts_with(part)).map(|rule| rule.1);
        let faults = self.lock();
        match fault(&faults) {
            None => {}
            Some(Fault::Altered) => {
                let middle = answer.body.len() / 2;
                answer.body[middle] ^= 1;
            }
            Some(Fault::Truncated) => answer.body.truncate(answer.body.len() / 2),
            Some(Fault::Missing) => answer = Answer::text(404, "not found"),
            Some(Fault::Nonsense) => answer.body = b"<!doctype html><p>Please log in to this network.</p>".to_vec(),
            Some(Fault::Held) => {
                let held = |faults: &mut Vec<(String, Fault)>| fault(faults) == Some(Fault::Held);
                drop(self.mended.wait_timeout_while(faults, LONGEST_HOLD, held));
            }
        }
        answer
    }
}
