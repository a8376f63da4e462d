//! The page in its tab: reading what it shows, waiting for what it is to show, and a visitor's hands.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fantoccini::Locator;
use fantoccini::actions::{InputSource, KeyAction, KeyActions, MouseActions, PointerAction};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::chrome::{Chrome, Kind};
use crate::site::Site;

/// How often the page is looked at while something is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// Runs in every document before any script of its own.
const BEFORE: &str = "
window.kilnErrors = [];
addEventListener('error', (event) => kilnErrors.push(event.message));
addEventListener('unhandledrejection', (event) => kilnErrors.push(String(event.reason)));
window.kilnSpoken = [];
new MutationObserver(() => {
  const said = document.querySelector('[data-testid=announcer]')?.textContent.trim();
  if (said && kilnSpoken.at(-1) !== said) kilnSpoken.push(said);
}).observe(document, { subtree: true, childList: true, characterData: true });
";

/// What the page shows at one moment.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Snapshot {
    /// `data-state` of `status`.
    pub state: String,
    /// `data-detail` of `status`.
    pub detail: String,
    /// Headline and the line under it.
    pub status: String,
    /// Which device, and why.
    pub device: String,
    /// The panel of a failure.
    pub error: String,
    /// `data-kind` of that panel.
    pub error_kind: String,
    /// The progress in words.
    pub progress: String,
    /// Points in the chart of the loss.
    pub loss_points: u32,
    /// Points in the chart of the accuracy.
    pub accuracy_points: u32,
    /// The test's result, such as `98.62 %`.
    pub test_accuracy: String,
    /// The digit that was read.
    pub prediction: String,
    /// What was last spoken.
    pub announcer: String,
    /// What of the address was not followed.
    pub notes: Vec<String>,
    /// The `data-testid`s of all buttons that can be seen and pressed.
    pub enabled: Vec<String>,
}

impl Snapshot {
    /// Whether a button can be pressed.
    pub fn can(&self, button: &str) -> bool {
        self.enabled.iter().any(|enabled| enabled == button)
    }
}

/// A tab with the page.
pub struct Page {
    /// The site behind it.
    pub site: Site,
    chrome: Chrome,
}

impl Page {
    pub(crate) async fn open(site: Site, kind: Kind) -> Result<Page> {
        let page = Page { chrome: Chrome::start(kind).await?, site };
        page.before_each_document(BEFORE).await?;
        Ok(page)
    }

    pub(crate) async fn close(self) {
        // Whatever is still held would keep the browser from its end.
        self.site.mend();
        self.chrome.close().await;
    }

    /// Goes to the page with these parameters (`?device=cpu`), in a new document; until its first paint can be seen.
    pub async fn visit(&self, parameters: &str) -> Result<()> {
        // By way of another document, so that nothing of an earlier visit is taken for this one's.
        self.chrome.client.goto("about:blank").await?;
        self.until_true("location.href === 'about:blank'").await?;
        self.chrome.client.goto(&(self.site.url() + parameters)).await?;
        self.until_true("document.querySelector('[data-testid=pad]') !== null").await
    }

    /// Waits until an element shows a text.
    pub async fn until_shown(&self, selector: &str, text: &str) -> Result<()> {
        let (selector, text) = (Value::from(selector), Value::from(text));
        self.until_true(&format!("document.querySelector({selector})?.textContent.includes({text}) === true")).await
    }

    /// Waits for an expression to hold. While a document takes the place of another, there is none to ask.
    async fn until_true(&self, expression: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let so = self.run(&format!("return {expression}")).await;
            if matches!(&so, Ok(so) if *so == true) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{expression}: not within a minute; last: {so:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// A script that runs in every document before its own.
    pub async fn before_each_document(&self, script: &str) -> Result<()> {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await?;
        Ok(())
    }

    /// Sends a command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, params: Value) -> Result<Value> {
        self.chrome.devtools(command, params).await
    }

    /// Runs a function's body in the page.
    pub async fn run(&self, script: &str) -> Result<Value> {
        self.chrome.client.execute(script, Vec::new()).await.with_context(|| script.to_owned())
    }

    /// What the console said since this was last asked.
    pub async fn console(&self) -> Result<Vec<String>> {
        self.chrome.console().await
    }

    /// What the page shows now.
    pub async fn look(&self) -> Result<Snapshot> {
        Ok(serde_json::from_value(self.run(include_str!("snapshot.js")).await?)?)
    }

    /// Waits until the page shows it; what it showed then. A failure ends the wait, unless one was on show already.
    pub async fn until(&self, what: &str, seconds: u64, shows: impl Fn(&Snapshot) -> bool) -> Result<Snapshot> {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut was_well = false;
        loop {
            let shown = self.look().await?;
            if shows(&shown) {
                return Ok(shown);
            }
            if was_well && shown.state == "failed" {
                bail!("{what}: the page failed instead: {} {}", shown.status, shown.error);
            }
            if Instant::now() > deadline {
                bail!("{what}: not within {seconds} s; the page shows {shown:#?}");
            }
            was_well |= shown.state != "failed";
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until a function's body, run in the page, answers as it is to; what it answered then.
    pub async fn until_run(
        &self,
        what: &str,
        seconds: u64,
        script: &str,
        answers: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            let answer = self.run(script).await?;
            if answers(&answer) {
                return Ok(answer);
            }
            if Instant::now() > deadline {
                bail!("{what}: not within {seconds} s; last: {answer}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits for a state.
    pub async fn until_state(&self, state: &str, seconds: u64) -> Result<Snapshot> {
        self.until(&format!("the state `{state}`"), seconds, |shown| shown.state == state).await
    }

    /// Presses a button once it can be pressed.
    pub async fn press(&self, button: &str) -> Result<()> {
        self.until(&format!("the button `{button}` can be pressed"), 60, |shown| shown.can(button)).await?;
        let selector = format!("[data-testid={button}]");
        // Else the driver scrolls it just into the window, where a bar that stays in place may lie over it.
        self.run(&format!("document.querySelector('{selector}').scrollIntoView({{ block: 'center' }})")).await?;
        self.chrome
            .client
            .find(Locator::Css(&selector))
            .await?
            .click()
            .await
            .with_context(|| format!("pressing {button}"))
    }

    /// Chooses files in a field, all at one time.
    pub async fn choose(&self, field: &str, files: &[&Path]) -> Result<()> {
        let selector = format!("[data-testid={field}]");
        let field = self.chrome.client.find(Locator::Css(&selector)).await?;
        // The driver takes one path a line.
        let lines: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        field.send_keys(&lines.join("\n")).await.with_context(|| format!("choosing files in {selector}"))
    }

    /// Drops a file on the page.
    pub async fn drop_file(&self, name: &str, content: &[u8]) -> Result<()> {
        let script = "const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(arguments[1])], arguments[0]));
            for (const kind of ['dragover', 'drop'])
              document.body.dispatchEvent(
                new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));";
        self.chrome.client.execute(script, vec![name.into(), content.into()]).await.context("dropping a file")?;
        Ok(())
    }

    /// Presses a button and waits for the file that it gives, which is taken out of the folder of downloads.
    pub async fn download(&self, button: &str, to: &Path) -> Result<PathBuf> {
        self.press(button).await?;
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let files = std::fs::read_dir(self.chrome.downloads()).into_iter().flatten().flatten();
            let mut files = files.map(|file| file.path());
            // Chromium writes under another name until the file is whole.
            if let Some(file) = files.find(|file| {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                !name.ends_with(".crdownload") && !name.starts_with('.')
            }) {
                let moved = to.join(file.file_name().context("a file has a name")?);
                std::fs::copy(&file, &moved)
                    .and_then(|_| std::fs::remove_file(&file))
                    .context("taking the download")?;
                return Ok(moved);
            }
            if Instant::now() > deadline {
                bail!("{button} gave no file within a minute");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Draws one stroke on the pad with the mouse. Places run from 0 to 1, from the top left.
    pub async fn draw(&self, stroke: &[(f64, f64)]) -> Result<()> {
        self.drag("[data-testid=pad]", stroke).await
    }

    /// Drags the mouse over an element. Places run from 0 to 1, from its top left.
    pub async fn drag(&self, selector: &str, places: &[(f64, f64)]) -> Result<()> {
        let element = self.chrome.client.find(Locator::Css(selector)).await?;
        self.run(&format!("document.querySelector('{selector}').scrollIntoView({{ block: 'center' }})")).await?;
        let (_, _, width, height) = element.rectangle().await?;
        let mut mouse = MouseActions::new("mouse".into());
        for (index, (x, y)) in places.iter().enumerate() {
            // Measured from the middle of the element.
            let (x, y) = ((x - 0.5) * width, (y - 0.5) * height);
            let duration = Some(Duration::from_millis(if index == 0 { 0 } else { 60 }));
            mouse = mouse.then(PointerAction::MoveToElement { element: element.clone(), duration, x, y });
            if index == 0 {
                mouse = mouse.then(PointerAction::Down { button: 0 });
            }
        }
        self.chrome.client.perform_actions(mouse.then(PointerAction::Up { button: 0 })).await?;
        Ok(())
    }

    /// Draws a one: a stroke from top to bottom.
    pub async fn draw_one(&self) -> Result<()> {
        self.draw(&[(0.5, 0.2), (0.5, 0.35), (0.5, 0.5), (0.5, 0.65), (0.5, 0.8)]).await
    }

    /// Draws a one on a clean pad and waits for the answer to it.
    pub async fn read_a_one(&self) -> Result<Snapshot> {
        if self.look().await?.can("pad-clear") {
            self.press("pad-clear").await?;
        }
        self.until("an empty pad has no answer", 30, |shown| shown.prediction.is_empty()).await?;
        self.draw_one().await?;
        self.until("an answer to the drawing", 60, |shown| !shown.prediction.is_empty()).await?;
        // The first answer may be to a part of the stroke.
        self.until_true("document.querySelector('[data-testid=answers]').dataset.reading === 'false'").await?;
        self.look().await
    }

    /// Presses and lifts a key, wherever the focus is.
    pub async fn key(&self, key: char) -> Result<()> {
        let keys = KeyActions::new("keyboard".into());
        let keys = keys.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key });
        self.chrome.client.perform_actions(keys).await?;
        Ok(())
    }

    /// The `data-testid` of what has the focus; empty if it has none.
    pub async fn focused(&self) -> Result<String> {
        let id = self.run("return document.activeElement?.dataset?.testid ?? ''").await?;
        Ok(id.as_str().unwrap_or_default().to_owned())
    }

    /// Everything that was spoken since the document was opened.
    pub async fn spoken(&self) -> Result<Vec<String>> {
        Ok(serde_json::from_value(self.run("return kilnSpoken").await?)?)
    }

    /// Errors that nobody caught since the document was opened.
    pub async fn uncaught(&self) -> Result<Vec<String>> {
        Ok(serde_json::from_value(self.run("return kilnErrors").await?)?)
    }

    /// Makes the window as large as a phone's.
    pub async fn become_phone(&self) -> Result<()> {
        // Not `mobile`: then the page would be zoomed out until it fits, and nothing would overflow.
        let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", phone).await?;
        Ok(())
    }

    /// Prints what there is to know, and saves a screenshot.
    pub(crate) async fn report(&self, name: &str) {
        eprintln!("── {name} failed");
        match self.look().await {
            Ok(shown) => eprintln!("The page showed {shown:#?}"),
            Err(error) => eprintln!("The page can't be read: {error:#}"),
        }
        if let Ok(errors) = self.uncaught().await {
            eprintln!("Errors that nobody caught: {errors:#?}");
        }
        match self.console().await {
            Ok(lines) => eprintln!("The console said:\n  {}", lines.join("\n  ")),
            Err(error) => eprintln!("The console can't be read: {error:#}"),
        }
        match self.screenshot(name).await {
            Ok(path) => eprintln!("A screenshot is in {path}"),
            Err(error) => eprintln!("No screenshot: {error:#}"),
        }
    }

    async fn screenshot(&self, name: &str) -> Result<String> {
        let path = xtask::paths::root().join("target/e2e").join(format!("{name}.png"));
        xtask::paths::write(&path, &self.chrome.client.screenshot().await?)?;
        Ok(path.display().to_string())
    }
}
