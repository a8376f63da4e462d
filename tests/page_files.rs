//! Files on the page, in a real browser: the export menu, what an opened file does, a file that can't be opened, and
//! files that are dropped.

#![cfg(target_arch = "wasm32")]

mod mounted;

use kiln::page::browser::document;
use kiln::page::drop::{Kind, kind};
use kiln::protocol::{Command, Event, ExportOf, Failure, FileKind, Imported, RunId};
use kiln::training::{RunConfig, Score};
use mounted::{Mounted, frames, key};
use serde_bytes::ByteBuf;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// A page with a paused run of three steps.
async fn paused() -> Mounted {
    let page = Mounted::training().await;
    page.tell([Event::Paused { run: RunId(1), step: 3 }]).await;
    page.commands();
    page
}

fn no_model() -> Event {
    let failure = Failure::NotAModel { file: "cat.bin".into(), what: "tensor conv1.weight: missing".into() };
    Event::Failed { run: None, failure }
}

fn focused() -> String {
    document().active_element().and_then(|element| element.get_attribute("data-testid")).unwrap_or_default()
}

/// Drops a file on the page as a browser would.
async fn drop_file(name: &str, content: &[u8]) {
    let script = "const data = new DataTransfer(); data.items.add(new File([content], name));
        for (const kind of ['dragover', 'drop'])
            document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));";
    let bytes = js_sys::Uint8Array::from(content);
    let function = js_sys::Function::new_with_args("name, content", script);
    function.call2(&JsValue::NULL, &name.into(), &bytes).unwrap();
    frames().await;
    frames().await;
}

#[wasm_bindgen_test]
async fn each_item_of_the_menu_asks_for_its_file_with_what_was_measured() {
    let page = paused().await;
    let kinds = [
        ("export-safetensors", FileKind::Safetensors),
        ("export-onnx", FileKind::Onnx),
        ("export-csv", FileKind::Csv),
        ("export-tensorboard", FileKind::TensorBoard),
        ("export-run", FileKind::Run),
    ];
    for (item, kind) in kinds {
        page.click("export").await;
        page.click(item).await;
        let commands = page.commands();
        let [Command::Export { kind: asked, of: ExportOf::Run { config, history } }] = &commands[..] else {
            panic!("{commands:?}")
        };
        assert_eq!((*asked, &**config, history.points.len()), (kind, &RunConfig::default(), 3));
        assert!(page.find(item).is_none(), "the menu is closed");
        assert_eq!(focused(), "export", "and its button has the focus again");
    }
}

#[wasm_bindgen_test]
async fn the_menu_is_worked_with_the_keyboard() {
    let page = paused().await;
    page.click("export").await;
    assert_eq!(focused(), "export-safetensors");
    let press = |what: &str| key(&document().active_element().unwrap(), what);
    press("ArrowDown");
    assert_eq!(focused(), "export-onnx");
    press("End");
    assert_eq!(focused(), "export-run");
    press("ArrowDown");
    assert_eq!(focused(), "export-safetensors");
    press("ArrowUp");
    assert_eq!(focused(), "export-run");
    press("Escape");
    frames().await;
    assert_eq!((page.find("export-run").is_none(), focused().as_str()), (true, "export"));
}

#[wasm_bindgen_test]
async fn a_run_can_be_exported_once_it_rests() {
    let page = Mounted::training().await;
    assert!(page.find("export").is_none(), "its network changes while it trains");
    let test = Some(Score { loss: 0.1, correct: 9900, total: 10_000 });
    page.tell([Event::Finished { run: RunId(1), step: 3, stopped: false, early: false, best_epoch: None, test }]).await;
    page.get("export");
}

#[wasm_bindgen_test]
async fn a_written_file_is_an_ordinary_download() {
    let page = paused().await;
    let seen = js_sys::Function::new_no_args(
        "window.kilnLinks = []; const click = HTMLAnchorElement.prototype.click;
         HTMLAnchorElement.prototype.click = function () { kilnLinks.push([this.download, this.protocol]); };
         return () => { HTMLAnchorElement.prototype.click = click; };",
    );
    let restore: js_sys::Function = seen.call0(&JsValue::NULL).unwrap().unchecked_into();
    let (name, mime) = ("kiln.onnx".to_owned(), "application/octet-stream".to_owned());
    page.tell([Event::Exported { name, mime, bytes: ByteBuf::from(vec![1, 2, 3]) }]).await;
    restore.call0(&JsValue::NULL).unwrap();
    let links = js_sys::eval("JSON.stringify(kilnLinks)").unwrap().as_string().unwrap();
    assert_eq!(links, r#"[["kiln.onnx","blob:"]]"#);
}

#[wasm_bindgen_test]
async fn a_file_that_is_no_model_is_named_and_touches_nothing() {
    let page = paused().await;
    page.tell([no_model()]).await;
    assert_eq!(page.state(), ("paused".into(), String::new()), "the run is as it was");
    assert_eq!(page.get("error").get_attribute("data-kind").as_deref(), Some("not-a-model"));
    let text = page.text("error");
    assert!(text.contains("cat.bin") && text.contains("tensor conv1.weight: missing"), "{text}");
    page.click("leave-file").await;
    assert!(page.find("error").is_none());
    assert_eq!(page.buttons(), "resume step stop export");
}

#[wasm_bindgen_test]
async fn without_a_run_the_headline_says_it_and_another_file_can_be_chosen() {
    let page = Mounted::ready().await;
    page.tell([no_model()]).await;
    assert_eq!(page.state(), ("failed".into(), "not-a-model".into()));
    assert!(page.text("status").contains("That file is no Kiln model."));
    assert_eq!(page.buttons(), "choose-file leave-file");

    // The browser's box of files is out of a test's reach; what it does with the field that opens it is not.
    let choose = "const click = HTMLInputElement.prototype.click;
        HTMLInputElement.prototype.click = function () {
            HTMLInputElement.prototype.click = click;
            const data = new DataTransfer();
            data.items.add(new File(['dear diary'], 'notes.txt'));
            this.files = data.files;
            this.dispatchEvent(new Event('change'));
        };";
    js_sys::eval(choose).unwrap();
    document().query_selector("[data-testid=model-import]").unwrap().expect("a field").remove();
    page.click("choose-file").await;
    frames().await;
    assert!(page.text("error").contains("dear diary"), "{}", page.text("error"));

    page.click("leave-file").await;
    assert_eq!((page.state().0.as_str(), page.buttons().as_str()), ("ready", "train step"));
}

#[wasm_bindgen_test]
async fn a_dropped_run_is_replayed_and_beside_another_run_it_waits() {
    let config = RunConfig { epochs: 3, seed: 5, ..RunConfig::default() };
    let run = || Event::Imported {
        name: "kiln-run.json".into(),
        what: Imported::Run { config: Box::new(config.clone()), same_data: true, basis: None },
    };
    let page = Mounted::ready().await;
    page.tell([run()]).await;
    let commands = page.commands_but_predict();
    let [Command::Start { config: started, .. }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(*started, config);
    assert!(page.text("file-note").contains("Replaying kiln-run.json"));
    drop(page);

    let page = Mounted::training().await;
    page.commands();
    page.tell([run()]).await;
    assert_eq!(page.commands_but_predict(), [], "the run under way goes on");
    assert!(page.text("file-note").contains("from the next run on"));
    assert!(page.text("recipe-epochs").contains("3 epochs"));
}

#[wasm_bindgen_test]
async fn what_is_dropped_goes_where_its_content_belongs() {
    let page = Mounted::ready().await;
    page.commands();
    drop_file("a.safetensors", b"\x02\0\0\0\0\0\0\0{}").await;
    let commands = page.commands();
    let [Command::Import { name, bytes }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((name.as_str(), bytes.len()), ("a.safetensors", 10));
    drop_file("notes.safetensors", b"dear diary").await;
    assert_eq!(page.commands(), []);
    assert_eq!(page.state(), ("failed".into(), "not-a-model".into()));
    assert!(page.text("error").contains("“dear diary”"), "{}", page.text("error"));
}

#[wasm_bindgen_test]
fn a_file_is_known_by_its_first_bytes() {
    assert_eq!(kind(b"  {\"kiln-run\":1}"), Kind::Kiln);
    assert_eq!(kind(&[&600u64.to_le_bytes()[..], b"{\"__met"].concat()), Kind::Kiln);
    assert_eq!(kind(&[0, 0, 8, 3, 0, 0, 0, 10]), Kind::ToLearn);
    assert_eq!(kind(&[0x1f, 0x8b, 8]), Kind::ToLearn);
    assert_eq!(kind(b"\x89PNG\r\n\x1a\n"), Kind::ToLearn);
    assert_eq!(kind(b"RIFF\0\0\0\0WEBPVP8 "), Kind::ToLearn);
    assert_eq!(kind(b"label,held_out,o"), Kind::ToLearn);
    assert_eq!(kind(b"PK\x03\x04"), Kind::Unknown);
    assert_eq!(kind(b""), Kind::Unknown);
}
