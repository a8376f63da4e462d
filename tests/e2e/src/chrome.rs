//! Chromium, driven by a chromedriver of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a browser can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No GPU.
    Plain,
    /// WebGPU on an adapter that is emulated in software.
    SoftwareGpu,
}

/// A browser with a profile that no other one has had.
pub struct Chrome {
    /// Its one tab.
    pub client: Client,
    // Dropped in this order: the driver ends the browser, and only then its profile can go.
    driver: Driver,
    profile: TempDir,
}

impl Chrome {
    /// Starts one.
    pub async fn start(kind: Kind) -> Result<Chrome> {
        let driver = Driver::start()?;
        let profile = tempfile::tempdir().context("a folder for the browser's profile")?;
        let mut args = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-dev-shm-usage".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            "--no-first-run".into(),
            "--no-default-browser-check".into(),
            "--lang=en-US".into(),
            "--window-size=1440,900".into(),
            // Nobody but the site under test is to be reached.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1".into(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        match kind {
            Kind::Plain => args.push("--disable-gpu".into()),
            Kind::SoftwareGpu => args.extend(
                ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]
                    .map(Into::into),
            ),
        }
        let Value::Object(capabilities) = json!({
            // A page whose parts are held back is looked at all the same.
            "pageLoadStrategy": "none",
            "goog:chromeOptions": { "args": args, "prefs": {
                "intl.accept_languages": "en-US",
                "download.default_directory": profile.path().join("downloads"),
                "download.prompt_for_download": false,
            } },
            "goog:loggingPrefs": { "browser": "ALL" },
        }) else {
            unreachable!("that is an object")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .context("chromedriver could not start a browser; is Chromium installed, and of the same version?")?;
        Ok(Chrome { client, driver, profile })
    }

    /// The folder that downloads go to.
    pub fn downloads(&self) -> PathBuf {
        self.profile.path().join("downloads")
    }

    /// Sends a command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, params: Value) -> Result<Value> {
        let body = json!({ "cmd": command, "params": params });
        self.client.issue_cmd(Own { path: "goog/cdp/execute", body }).await.with_context(|| command.to_owned())
    }

    /// What the console said since this was last asked, a line each.
    pub async fn console(&self) -> Result<Vec<String>> {
        let entries = self.client.issue_cmd(Own { path: "se/log", body: json!({ "type": "browser" }) }).await?;
        let line = |entry: &Value| {
            let part = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            format!("{}: {}", part("level"), part("message"))
        };
        Ok(entries.as_array().into_iter().flatten().map(line).collect())
    }

    /// Ends it.
    pub async fn close(self) {
        // A browser that no longer answers is ended by its driver.
        let _ = self.client.close().await;
        drop(self.driver);
    }
}

/// A command that only Chromium knows.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

/// A chromedriver on a port of its own. It ends with its browsers when dropped.
struct Driver {
    process: Child,
    port: u16,
}

impl Driver {
    fn start() -> Result<Driver> {
        // One of hundreds was seen to end before it had a port, where others of its kind were started and ended beside it.
        const TIMES: usize = 3;
        let mut said = String::new();
        for _ in 0..TIMES {
            match Driver::try_to_start()? {
                Ok(driver) => return Ok(driver),
                Err(last) => said = last,
            }
        }
        bail!("chromedriver ended {TIMES} times without naming its port. It said: {said}")
    }

    /// One that has a port; or what one said that ended before.
    fn try_to_start() -> Result<Result<Driver, String>> {
        let program = xtask::toolchain::find("chromedriver")
            .context("chromedriver is not on the path; run `cargo xtask setup`")?;
        let mut process = Command::new(program)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting chromedriver")?;
        let output = process.stdout.take().context("chromedriver has an output")?;
        let mut driver = Driver { process, port: 0 };
        let mut said = String::new();
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next() {
            // "ChromeDriver was started successfully on port 36411."
            let line = line.context("chromedriver's output")?;
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                driver.port = port.trim_end_matches('.').parse().context("chromedriver's port")?;
                // It may say more, and must not wait for anybody to read it.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Ok(driver));
            }
            said.push_str(&line);
            said.push('\n');
        }
        Ok(Err(said))
    }

    /// Has it end its browsers and then itself.
    fn shut_down(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.port)?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.shut_down();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
