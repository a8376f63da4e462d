//! What the room of the mistakes says.

use super::{Lang, count, percent};

words! {
    nav_mistakes: "Mistakes", "错误";
    was: "was", "实为";
    recall: "recall", "召回";
    recall_title: "Recall", "召回率";
    precision: "prec.", "精确";
    precision_title: "Precision", "精确率";
    confusion_caption: "Down: what it was. Across: what it was read as. Choose a cell to see its digits.",
        "竖：实际是什么。横：读成了什么。点一格，看里面的数字。";
    confusion_keys: "Confusion matrix. Arrow keys move, Enter shows the digits of a cell.",
        "混淆矩阵。方向键移动，回车键显示一格里的数字。";
    would_you: "Would you have read them? Choose the ones that it should learn.", "换作你，能读对吗？选出它该学的。";
    rightly: "These it read rightly. Choose the ones that it should learn.", "这些读对了。选出它该学的。";
    choose_all: "Choose all", "全选";
    choose_none: "Choose none", "全不选";
    show_more: "Show more", "再看一些";
    worst: "Most sure, and wrong", "最有把握，却错了";
    cell_images: "Digits of the open cell", "这一格里的数字";
    none_here: "None here.", "这一格是空的。";
    per_class: "Recall and precision of each class, with counts", "各类的召回率与精确率，附数目";
    class: "Class", "类别";
    class_images: "Digits", "个数";
    class_right: "Read right", "读对";
    class_read: "Read as it", "读成它";
    tested_before: "They are of the network that was tested last; the present one has not been tested.",
        "这是上一个考过的网络的错误；现在的网络还没有考。";
}

impl Lang {
    /// The room's title.
    pub fn mistakes_title(self, mistakes: u32) -> String {
        match (self, mistakes) {
            (Lang::En, 0) => "No mistakes".into(),
            (Lang::En, 1) => "Its one mistake".into(),
            (Lang::En, _) => format!("Its {} mistakes", count(mistakes)),
            (Lang::Zh, 0) => "没有错误".into(),
            (Lang::Zh, _) => format!("它的 {} 个错误", count(mistakes)),
        }
    }

    /// What the mistakes were made on. `trained`: images that the network was trained on; `in_set`: images that are
    /// among the user's digits and may be trained on next.
    pub fn mistakes_of(self, images: u32, trained: u32, in_set: u32) -> String {
        let all = count(images);
        let counted = count(images - trained - in_set);
        let (trained, in_set) = ((trained > 0).then(|| count(trained)), (in_set > 0).then(|| count(in_set)));
        match (trained, in_set) {
            (None, None) => pick!(
                self,
                format!("The {all} test digits were kept apart: the network has never trained on them."),
                format!("{all} 个测试数字一直单独留着：网络从没用它们训练过。"),
            ),
            (Some(trained), None) => pick!(
                self,
                format!("{counted} of {all}: {trained} that it trained on are left out."),
                format!("{all} 个中的 {counted} 个：有 {trained} 个训练时用过，不计入。"),
            ),
            (None, Some(in_set)) => pick!(
                self,
                format!("{counted} of {all}: {in_set} among your digits are left out."),
                format!("{all} 个中的 {counted} 个：有 {in_set} 个已加入你的数字，不计入。"),
            ),
            (Some(trained), Some(in_set)) => pick!(
                self,
                format!(
                    "{counted} of {all}: {trained} that it trained on and {in_set} among your digits are left out."
                ),
                format!("{all} 个中的 {counted} 个：有 {trained} 个训练时用过，{in_set} 个已加入你的数字，都不计入。"),
            ),
        }
    }

    /// A cell of the matrix, spoken.
    pub fn confused(self, truth: &str, read: &str, images: u32) -> String {
        let images = count(images);
        if truth == read {
            pick!(self, format!("{images} read rightly as {read}"), format!("{read} 读对 {images} 个"))
        } else {
            pick!(self, format!("{truth} read as {read}: {images}"), format!("{truth} 读成 {read}：{images} 个"))
        }
    }

    /// The heading of the open cell, its first part stressed.
    pub fn cell_title(self, truth: &str, read: &str, images: u32, all: u32) -> String {
        let (images, all) = (count(images), count(all));
        if truth == read {
            pick!(
                self,
                format!("*{truth} read rightly* · {images} of {all}"),
                format!("*{truth} 读对了* · {all} 个中的 {images} 个"),
            )
        } else {
            pick!(
                self,
                format!("*{truth} read as {read}* · {images} of {all}"),
                format!("*{truth} 读成 {read}* · {all} 个中的 {images} 个"),
            )
        }
    }

    /// What an image was and what it was read as.
    pub fn was_read(self, truth: &str, read: &str) -> String {
        pick!(self, format!("was *{truth}*, read *{read}*"), format!("实为 *{truth}*，读成 *{read}*"))
    }

    /// How sure the reading was.
    pub fn sure(self, share: f32) -> String {
        let share = if share > 0.99 { pick!(self, ">99%", "99% 以上").into() } else { percent(share, 0) };
        pick!(self, format!("{share} sure"), format!("{share} 的把握"))
    }

    /// The button that adds the chosen images to the user's digits.
    pub fn add_to_set(self, chosen: u32) -> String {
        let chosen = count(chosen);
        pick!(self, format!("Add {chosen} to your digits"), format!("把 {chosen} 个加入你的数字"))
    }

    /// After that.
    pub fn added_to_set(self, added: u32) -> String {
        let chosen = count(added);
        match (self, added) {
            (Lang::En, 1) => "Added to your digits; it no longer counts here.".into(),
            (Lang::En, _) => format!("{chosen} added to your digits; they no longer count here."),
            (Lang::Zh, _) => format!("{chosen} 个已加入你的数字，不再计入这里。"),
        }
    }

    /// What recall and precision are, by the example of a class.
    pub fn recall_and_precision(self, class: &str) -> String {
        pick!(
            self,
            format!(
                "Recall: of the true {class}s, how many were found. Precision: of those read as {class}, how many were \
                 {class}s. In per cent."
            ),
            format!(
                "召回率：真正的 {class} 里找到了多少。精确率：读成 {class} 的里面有多少真是 {class}。单位：百分比。"
            ),
        )
    }
}
