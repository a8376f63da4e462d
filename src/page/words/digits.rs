//! What the page says of the user's own digits.

use super::{Lang, count};
use crate::page::state::digits::{Change, Refused};
use crate::training::collection::{CollectionError, MAX_NAME, MAX_SAMPLES, WANTED};

words! {
    your_digits: "Your digits", "你的数字";
    your_classes: "Your classes", "你的类别";
    undo_label: "Undo", "撤销";
    wrong_press: "Wrong? Press the digit that you drew.", "读错了？按下你画的数字。";
    wrong_press_class: "Press what you drew.", "按下你画的是什么。";
    as_you_write_it: "as you write it", "照你平时的写法";
    export_digits: "Export", "导出";
    import_digits: "Import…", "导入…";
    import_hint: "A file that Export wrote, MNIST as CSV, or pictures. Dropping them on the page works too.",
        "导出的文件、CSV 格式的 MNIST，或者图片。也可以直接拖到页面上。";
    draw_missing: "Draw the missing ones", "继续画缺的";
    stop_gathering: "Try the network instead", "先试试网络";
    remove_sample: "Remove", "删除";
    held_out_hint: "Held out: it is never trained on, only measured with.", "留出：只用来测量，绝不参与训练。";
    test_hint: "From the test set. Once trained on, it counts in no test.", "来自测试集。训练过之后，不再计入任何测试。";
    skip_picture: "Leave it out", "跳过";
    key_label: "say what you drew", "说出你画的是几";
}

impl Lang {
    /// A class's name with its article: "a 4", "an 8", "a cat".
    pub fn a_class(self, name: &str) -> String {
        let vowel = matches!(name.chars().next(), Some('8' | 'a' | 'e' | 'i' | 'o' | 'A' | 'E' | 'I' | 'O'));
        match self {
            Lang::En if vowel => format!("an {name}"),
            Lang::En => format!("a {name}"),
            Lang::Zh => name.to_owned(),
        }
    }

    /// A label key's name.
    pub fn it_was(self, name: &str) -> String {
        let class = self.a_class(name);
        pick!(self, format!("It was {class}"), format!("它是 {class}"))
    }

    /// What became of the latest change, with stars round what is stressed.
    pub fn changed(self, change: &Change, classes: &[String]) -> String {
        let name = |label: &u8| self.a_class(classes.get(usize::from(*label)).map_or("", String::as_str));
        match change {
            Change::Added { label, held_out: true, .. } => {
                let name = name(label);
                pick!(self, format!("Kept as {name}, held out to measure with"), format!("已记为 {name}，留作测量"))
            }
            Change::Added { label, .. } => {
                let name = name(label);
                pick!(self, format!("Kept as {name}"), format!("已记为 {name}"))
            }
            Change::Removed { sample, .. } => {
                let name = name(&sample.label);
                pick!(self, format!("Removed {name}"), format!("已删除 {name}"))
            }
            Change::Relabelled { from, to, .. } => {
                let (from, to) = (name(from), name(to));
                pick!(self, format!("Was {from}, is {to} now"), format!("原为 {from}，现为 {to}"))
            }
        }
    }

    /// The pad's title while it asks.
    pub fn draw_a(self, name: &str) -> String {
        let class = self.a_class(name);
        pick!(self, format!("Draw {class}"), format!("画一个 {class}"))
    }

    /// What happens when the pen is lifted.
    pub fn lift_the_pen(self, name: &str) -> String {
        let class = self.a_class(name);
        pick!(
            self,
            format!("Lift the pen and it is kept as {class}.\nBackspace takes the last one back."),
            format!("抬笔就记为 {class}。\n退格键收回上一个。"),
        )
    }

    /// The pad's title while a picture waits for its label.
    pub fn what_is_this(self, waiting: usize) -> String {
        match (self, waiting) {
            (Lang::En, 1) => "What is this?".into(),
            (Lang::En, _) => format!("What is this? 1 of {waiting}"),
            (Lang::Zh, 1) => "这是几？".into(),
            (Lang::Zh, _) => format!("这是几？还有 {waiting} 张"),
        }
    }

    /// "24 of 60 drawn."
    pub fn drawn_of(self, drawn: usize, wanted: usize) -> String {
        pick!(self, format!("{drawn} of {wanted} drawn."), format!("已画 {drawn} / {wanted}。"))
    }

    /// What lies in the gallery, before and after the words for what is held out.
    pub fn gallery_line(self, training: usize, held_out: usize, missing: usize) -> (String, String, String) {
        let four = WANTED - WANTED / 3;
        if missing > 0 && training + held_out == 0 {
            return pick!(
                self,
                (
                    format!("Six of each. {} train the network; ", if four == 4 { "Four" } else { "Some" }),
                    "two are held out".into(),
                    " to measure with.".into(),
                ),
                ("每个六张，四张用来训练，".into(), "两张留出".into(), "用来测量。".into()),
            );
        }
        pick!(
            self,
            (
                format!("{training} to train on, "),
                format!("{held_out} held out"),
                " to measure with. Choose one to relabel or remove it.".into(),
            ),
            (
                format!("{training}张用来训练，"),
                format!("{held_out} 张留出"),
                "用来测量。点一张可以改标或删除。".into(),
            ),
        )
    }

    /// "4 of 6".
    pub fn of_wanted(self, own: usize) -> String {
        if own > WANTED {
            own.to_string()
        } else {
            pick!(self, format!("{own} of {WANTED}"), format!("{own}/{WANTED}"))
        }
    }

    /// Samples that are not shown.
    pub fn more_samples(self, more: usize) -> String {
        pick!(self, format!("and {more} more"), format!("还有 {more} 张"))
    }

    /// A sample's name.
    pub fn sample(self, name: &str, held_out: bool) -> String {
        let class = self.a_class(name);
        match (self, held_out) {
            (Lang::En, true) => format!("{class}, held out"),
            (Lang::Zh, true) => format!("{class}，留出"),
            (_, false) => class,
        }
    }

    /// The line about a chosen sample.
    pub fn this_is(self, name: &str) -> String {
        let class = self.a_class(name);
        pick!(self, format!("This is {class}. Is it something else?"), format!("这是 {class}。其实是？"))
    }

    /// Why something was not taken in.
    pub fn refused(self, refused: &Refused) -> String {
        match refused {
            Refused::Full => {
                let most = count(MAX_SAMPLES as u32);
                pick!(
                    self,
                    format!("A collection holds at most {most} images. Remove some first."),
                    format!("最多存 {most} 张，请先删除一些。"),
                )
            }
            Refused::OtherClasses => pick!(
                self,
                "That file is of other classes than the ones collected here. Nothing was taken in.",
                "那个文件的类别与这里收集的不同，什么都没有导入。",
            )
            .into(),
            Refused::Picture(name) => pick!(
                self,
                format!("No ink can be found in {name}. A picture of one dark digit on bright paper works best."),
                format!("在 {name} 里找不到字迹。最好是一张浅底深字的单个数字。"),
            ),
            Refused::File(error) => {
                let what = self.collection_error(error);
                pick!(
                    self,
                    format!("That file is no collection of digits. {what} Nothing was taken in."),
                    format!("那个文件不是数字集。{what}什么都没有导入。"),
                )
            }
        }
    }

    fn collection_error(self, error: &CollectionError) -> String {
        match error {
            CollectionError::TooLong(bytes) => {
                let (bytes, most) = (bytes / 1_000_000, 16);
                pick!(
                    self,
                    format!("It has {bytes} MB; at most {most} are read."),
                    format!("它有 {bytes} MB，最多读 {most} MB。"),
                )
            }
            CollectionError::NotText(_) => pick!(self, "It is not text.", "它不是文本。").into(),
            CollectionError::Header { pixels } => pick!(
                self,
                format!("Its first line must name a label and 784 pixels; it names {pixels} pixels."),
                format!("第一行应有一个标签和 784 个像素，实有 {pixels} 个像素。"),
            ),
            CollectionError::Columns { line, expected, found } => pick!(
                self,
                format!("Line {line} has {found} values instead of {expected}."),
                format!("第 {line} 行有 {found} 个值，应为 {expected} 个。"),
            ),
            CollectionError::Value { line, column, found } => pick!(
                self,
                format!("In line {line}, “{found}” can't be a {column}."),
                format!("第 {line} 行的 {column} 不能是“{found}”。"),
            ),
            CollectionError::Classes(found) => pick!(
                self,
                format!("It has {found} classes; 2 to 20 can be told apart."),
                format!("它有 {found} 个类别，只能是 2 到 20 个。"),
            ),
            CollectionError::TooMany => {
                let most = count(MAX_SAMPLES as u32);
                pick!(self, format!("It has more than {most} images."), format!("它超过 {most} 张。"))
            }
            CollectionError::Empty => pick!(self, "There is no image in it.", "里面没有图。").into(),
        }
    }

    /// How names of classes are written.
    pub fn names_hint(self) -> String {
        pick!(
            self,
            format!("2 to 20 names with commas between them, each of at most {MAX_NAME} letters"),
            format!("2 到 20 个名字，用逗号分开，每个最多 {MAX_NAME} 个字"),
        )
    }
}
