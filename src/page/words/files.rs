//! What the page says of files.

use super::Lang;
use crate::page::state::files::{Opened, What};
use crate::protocol::FileKind;

words! {
    not_a_model: "That file is no Kiln model.", "这个文件不是 Kiln 模型。";
    nothing_touched: "Nothing else was touched: everything is as it was.", "其他一切照旧，什么都没动。";
    choose_another: "Choose another", "换一个文件";
    leave_file: "Leave it", "算了";
    export: "Export", "导出";
    no_models: "Nothing is kept yet: train a network, or open one from a file.", "还没有保存的模型：训练一个，或从文件打开。";
    open_file: "Open a file…", "打开文件…";
    open_file_which: "A model (safetensors) or a run from Kiln. You can also drop it anywhere on this page.",
        "Kiln 的模型（safetensors）或训练记录。也可以直接拖到页面上。";
    drop_here: "Drop it to open it", "松手即可打开";
}

impl Lang {
    /// The panel of a file that can't be opened.
    pub(super) fn refused_file(self, file: &str, what: &str) -> (String, String) {
        (
            pick!(self, format!("{file} is no Kiln model"), format!("{file} 不是 Kiln 模型")),
            pick!(
                self,
                format!(
                    "What was found: {what}. Kiln opens models that it saved (safetensors) and its run files (JSON)."
                ),
                format!("情况：{what}。Kiln 能打开它保存的模型（safetensors）和训练记录（JSON）。"),
            ),
        )
    }

    /// An item of the export menu: what it is, and what it is for.
    pub fn file_kind(self, kind: FileKind) -> (&'static str, &'static str) {
        match kind {
            FileKind::Safetensors => pick!(
                self,
                ("Network, safetensors", "for Kiln and PyTorch"),
                ("网络，safetensors", "供 Kiln 和 PyTorch 使用"),
            ),
            FileKind::Onnx => {
                pick!(self, ("Network, ONNX", "to run it in other programs"), ("网络，ONNX", "在其他程序里运行"))
            }
            FileKind::Csv => pick!(self, ("Measurements, CSV", "for a spreadsheet"), ("指标，CSV", "用电子表格打开")),
            FileKind::TensorBoard => {
                pick!(self, ("Measurements, TensorBoard", "an event file"), ("指标，TensorBoard", "事件文件"))
            }
            FileKind::Run => pick!(
                self,
                ("Run, JSON", "drop it on a Kiln page to replay it"),
                ("训练记录，JSON", "拖到 Kiln 页面即可重放"),
            ),
        }
    }

    /// What came of a file that was opened.
    pub fn opened_file(self, opened: &Opened) -> String {
        let Opened { name, what } = opened;
        match what {
            What::Model => pick!(
                self,
                format!("{name} is on the shelf and open: draw, and its network answers."),
                format!("{name} 已放上模型架并打开：画一个数字，由它的网络来读。"),
            ),
            What::Later => pick!(
                self,
                format!("{name} is on the shelf. It can be opened when this run is over."),
                format!("{name} 已放上模型架。等这次训练结束再打开它。"),
            ),
            What::Replay { same_data: true } => {
                pick!(self, format!("Replaying {name}, on the same digits."), format!("正在用同样的数字重放 {name}。"))
            }
            What::Replay { same_data: false } => pick!(
                self,
                format!("Replaying {name}, but on other digits than it was made with: the numbers will differ."),
                format!("正在重放 {name}，但数字与当时不同，结果会有出入。"),
            ),
            What::Recipe => pick!(
                self,
                format!("The recipe of {name} is set. It counts from the next run on."),
                format!("已采用 {name} 的配方，下次训练生效。"),
            ),
        }
    }
}
