//! What the page says of what is kept: the run that can go on, the models, the room for them.

use super::{Lang, Text, count, decimal, megabytes, percent};
use crate::page::settings::Field;
use crate::shelf::{ModelCard, Resumable, StorageTrouble};
use crate::training::finetune::{NewData, Shift};
use crate::training::{RunConfig, Score};

words! {
    welcome_back: "Welcome back.", "欢迎回来。";
    half_trained: "You left a network half trained. It is as you left it.", "你留下了一个训练到一半的网络，它还是原来的样子。";
    start_afresh: "Start afresh", "重新开始";
    models: "Models", "模型";
    models_line: "Kept in this browser only. Choose two to compare.", "只保存在这个浏览器里。选两个可以比较。";
    model_name: "Name", "名称";
    trained_on: "Trained on", "训练数据";
    model_accuracy: "Accuracy", "准确率";
    size: "Size", "大小";
    saved: "Saved", "保存时间";
    actions: "Actions", "操作";
    open_model: "Open", "打开";
    open_now: "open", "已打开";
    rename: "Rename", "改名";
    delete: "Delete", "删除";
    undo: "Undo", "撤销";
    not_tested: "not tested yet", "还没考过";
    compare: "Compare", "比较";
    close_comparison: "Close the comparison", "关闭比较";
    not_measured: "not measured", "没有测过";
    on_test: "Test", "测试";
    on_validation: "Validation", "验证";
    settings_alike: "Their settings are the same.", "两者的设置相同。";
    no_curves: "The curves of these runs were not kept.", "没有保存这些训练的曲线。";
    curve_loss: "Validation loss by epoch", "各轮的验证损失";
    curve_accuracy: "Validation accuracy by epoch", "各轮的验证准确率";
    intervals: "After each percentage: where the true value lies with 95% confidence.", "百分比之后：真实值有 95% 的把握落在其中。";
    ask_persist: "Ask the browser to keep them", "请浏览器长期保存";
    persist_why: "When the disk runs full, a browser may clear what a site has kept.", "磁盘快满时，浏览器可能会清除网站保存的内容。";
    persist_granted: "The browser has promised not to clear them by itself.", "浏览器已答应不会自行清除。";
    persist_refused: "The browser did not promise it. A bookmark for this page may change its mind.",
        "浏览器没有答应。把本页加入书签也许有用。";
    make_room: "Make room", "腾出空间";
    save_to_file: "Save to a file", "保存到文件";
    dismiss: "Dismiss", "知道了";
}

impl Lang {
    /// The heading of the panel that offers to go on.
    pub fn resumable_title(self, kept: &Resumable) -> String {
        let (name, epochs) = (&kept.name, kept.config.epochs);
        let batches = kept.config.batches_per_epoch();
        let position = if kept.step == kept.epoch * batches {
            let epoch = kept.epoch;
            pick!(self, format!("epoch {epoch} of {epochs}"), format!("第 {epoch} 轮，共 {epochs} 轮"))
        } else {
            let (epoch, batch) = (kept.step / batches + 1, count(kept.step % batches));
            pick!(
                self,
                format!("batch {batch} of epoch {epoch} of {epochs}"),
                format!("第 {epoch} 轮（共 {epochs} 轮）第 {batch} 批"),
            )
        };
        let reads = kept.history.score().map(|score| {
            let reads = percent(score.accuracy(), 1);
            pick!(self, format!(" · {reads} on validation"), format!(" · 验证准确率 {reads}"))
        });
        format!("{name} · {position}{}", reads.unwrap_or_default())
    }

    /// When it was saved, and what going on means.
    pub fn resumable_line(self, when: &str) -> String {
        pick!(
            self,
            format!("Saved {when} in this browser. It goes on as if it had not stopped: same batches, same optimizer."),
            format!("保存于{when}，在这个浏览器里。继续时就像没有停过：同样的批次，同样的优化器。"),
        )
    }

    /// What becomes of it otherwise.
    pub fn afresh_keeps(self, name: &str) -> String {
        pick!(self, format!("Starting afresh keeps {name} on the shelf."), format!("重新开始会把 {name} 留在架上。"))
    }

    /// "today, 14:03"; `days` ago, with the date where it is longer.
    pub fn moment(self, days: i32, time: &str, date: &str) -> String {
        match days {
            0 => pick!(self, format!("today, {time}"), format!("今天 {time}")),
            1 => pick!(self, format!("yesterday, {time}"), format!("昨天 {time}")),
            _ => date.to_owned(),
        }
    }

    /// The same within a sentence.
    pub fn moment_at(self, days: i32, time: &str, date: &str) -> String {
        match days {
            0 => pick!(self, format!("today at {time}"), format!("今天 {time}")),
            1 => pick!(self, format!("yesterday at {time}"), format!("昨天 {time}")),
            _ => pick!(self, format!("on {date}"), date.to_owned()),
        }
    }

    /// The headline of a model that was opened.
    pub fn opened_headline(self, card: &ModelCard) -> String {
        let name = &card.name;
        match (card.test, card.validation) {
            (Some(test), _) => {
                let (right, total) = (count(test.correct), count(test.total));
                pick!(
                    self,
                    format!("{name} reads *{right} of {total}* test digits."),
                    format!("{total} 个测试数字，{name} 读对 *{right}* 个。"),
                )
            }
            (None, Some((_, score))) => {
                let reads = percent(score.accuracy(), 1);
                pick!(
                    self,
                    format!("{name} reads *{reads}* of unseen digits."),
                    format!("没见过的数字，{name} 能读对 *{reads}*。"),
                )
            }
            (None, None) => pick!(self, format!("{name} is open."), format!("{name} 已打开。")),
        }
    }

    /// The line under it.
    pub fn opened_line(self, card: &ModelCard) -> String {
        let on = self.trained_on_what(card);
        if on.is_empty() {
            return pick!(self, "It answers what you draw.", "它来回答你画的字。").into();
        }
        pick!(
            self,
            format!("It answers what you draw. Trained on: {on}."),
            format!("它来回答你画的字。训练数据：{on}。")
        )
    }

    /// The same around the accuracy, in the pieces of a finished run's line.
    pub fn opened_score_line(self, card: &ModelCard) -> [String; 4] {
        let line = self.opened_line(card);
        let (before, between) = pick!(self, ("That is ", format!(". {line}")), ("也就是 ", format!("。{line}")));
        [before.into(), between, String::new(), String::new()]
    }

    /// Under which name a finished run's network was kept.
    pub fn best_kept(self, epoch: u32, name: &str) -> String {
        pick!(
            self,
            format!("Best at epoch *{epoch}*, kept as *{name}*"),
            format!("第 *{epoch}* 轮最好，保存为 *{name}*")
        )
    }

    /// Under which name a stopped run's network was kept.
    pub fn kept_as(self, name: &str) -> String {
        pick!(self, format!("Kept as *{name}*"), format!("保存为 *{name}*"))
    }

    /// What a model was trained on, in a few words.
    pub fn trained_on_what(self, card: &ModelCard) -> String {
        let Some(config) = &card.config else { return card.data.clone() };
        let base =
            if card.synthetic { pick!(self, "synthetic digits", "合成数字").to_owned() } else { card.data.clone() };
        let mut parts = match &config.finetune {
            None => {
                let images = count(config.train_size);
                vec![base, pick!(self, format!("{images} digits"), format!("{images} 个数字"))]
            }
            Some(finetune) => vec![match &finetune.data {
                NewData::Yours => pick!(self, "your digits", "你的数字").into(),
                NewData::Set { name } => name.clone(),
                NewData::Shifted { shift } => {
                    let how = match shift {
                        Shift::Rotated => pick!(self, "rotated", "旋转的"),
                        Shift::Inverted => pick!(self, "inverted", "反色的"),
                        Shift::Noisy => pick!(self, "noisy", "带噪声的"),
                        Shift::Thick => pick!(self, "thick", "加粗的"),
                    };
                    pick!(self, format!("{how} {base}"), format!("{how}{base}"))
                }
            }],
        };
        if card.step < config.steps() && card.validation.map(|(epoch, _)| epoch) != Some(config.epochs) {
            let (done, all) = ((card.step / config.batches_per_epoch()).max(1), config.epochs);
            parts.push(pick!(self, format!("to epoch {done} of {all}"), format!("到第 {done} 轮，共 {all} 轮")));
        }
        let defaults = RunConfig::default();
        // The mixture of the images' changes stands for each of them.
        let told = |field| matches!(field, Field::Epochs | Field::TrainSize | Field::Seed | Field::Change(_));
        let changed = Field::all().filter(|field| !told(*field) && field.get(config) != field.get(&defaults));
        parts.extend(changed.map(|field| format!("{} {}", self.field(field).to_ascii_lowercase(), field.get(config))));
        parts.join(pick!(self, ", ", "，"))
    }

    /// By what an accuracy was measured.
    pub fn measured_by(self, card: &ModelCard) -> String {
        match card.score() {
            None => String::new(),
            Some((true, score)) => {
                let (right, total) = (count(score.correct), count(score.total));
                pick!(self, format!("test, {right} of {total}"), format!("测试，{total} 个中 {right} 个"))
            }
            Some((false, _)) => {
                let epoch = card.validation.map_or(0, |(epoch, _)| epoch);
                pick!(self, format!("validation, epoch {epoch}"), format!("第 {epoch} 轮验证"))
            }
        }
    }

    /// A count with its percentage and interval.
    pub fn with_interval(self, score: Score) -> String {
        let (right, total) = (count(score.correct), count(score.total));
        let (low, high) = score.interval();
        let (share, low, high) = (percent(score.accuracy(), 2), percent(low, 2), percent(high, 2));
        pick!(
            self,
            format!("{right} of {total} · {share} ({low} to {high})"),
            format!("{total} 个中 {right} 个 · {share}（{low} 至 {high}）"),
        )
    }

    /// What two counts on the same images say.
    pub fn verdict(self, names: [&str; 2], scores: [Score; 2]) -> String {
        let [first, second] = scores.map(|score| score.interval());
        let better = if first.0 > second.1 {
            Some(names[0])
        } else if second.0 > first.1 {
            Some(names[1])
        } else {
            None
        };
        match better {
            Some(name) => pick!(
                self,
                format!("{name} reads more: the intervals are apart."),
                format!("{name} 读得更准：两个区间不重叠。"),
            ),
            None => pick!(
                self,
                "The intervals overlap: these counts can't say which reads better.",
                "两个区间重叠：这些数目说明不了谁读得更准。",
            )
            .into(),
        }
    }

    /// The heading of a comparison.
    pub fn compared(self, names: [&str; 2]) -> String {
        let [first, second] = names;
        pick!(self, format!("{first} and {second}"), format!("{first} 与 {second}"))
    }

    /// A deleted model that can be had back.
    pub fn was_deleted(self, name: &str) -> String {
        pick!(self, format!("{name} is deleted."), format!("{name} 已删除。"))
    }

    /// Labels for hands that do not see the row.
    pub fn of_model(self, what: Text, name: &str) -> String {
        let what = what(self);
        pick!(self, format!("{what} {name}"), format!("{what} {name}"))
    }

    /// A size in megabytes.
    pub fn model_size(self, bytes: u32) -> String {
        format!("{} MB", decimal((f64::from(bytes) / 1e6).max(0.1), 1))
    }

    /// How much of the storage is used.
    pub fn storage_used(self, usage: f64, quota: Option<f64>) -> String {
        let used = megabytes(usage as u64);
        match quota {
            Some(quota) if quota >= 1e9 => {
                let quota = decimal(quota / 1e9, 1);
                pick!(
                    self,
                    format!(
                        "Kiln takes {used} MB of the {quota} GB that the browser allows, training digits included."
                    ),
                    format!("Kiln 占用 {used} MB，浏览器允许 {quota} GB，训练用的数字也算在内。"),
                )
            }
            Some(quota) => {
                let quota = megabytes(quota as u64);
                pick!(
                    self,
                    format!(
                        "Kiln takes {used} MB of the {quota} MB that the browser allows, training digits included."
                    ),
                    format!("Kiln 占用 {used} MB，浏览器允许 {quota} MB，训练用的数字也算在内。"),
                )
            }
            None => pick!(self, format!("Kiln takes {used} MB here."), format!("Kiln 在这里占用 {used} MB。")),
        }
    }

    /// Records that can't be read.
    pub fn unreadable(self, records: u32) -> String {
        match (self, records) {
            (Lang::En, 1) => "One more can't be read: it is damaged, or from a newer Kiln. It is left alone.".into(),
            (Lang::En, _) => {
                format!("{records} more can't be read: damaged, or from a newer Kiln. They are left alone.")
            }
            (Lang::Zh, _) => format!("另有 {records} 个读不出来：已损坏，或来自更新的 Kiln。它们保持原样。"),
        }
    }

    /// What is wrong with the storage.
    pub fn storage_trouble(self, trouble: &StorageTrouble) -> String {
        match trouble {
            StorageTrouble::Full => pick!(
                self,
                "This browser's storage is full: training goes on, saving doesn't.",
                "浏览器的存储已满：训练照常，但无法保存。",
            )
            .into(),
            StorageTrouble::Forbidden { .. } => pick!(
                self,
                "This browser allows no storage here (a private window?): everything works, nothing is kept.",
                "浏览器在这里不允许存储（无痕窗口？）：一切照常，但不会保存。",
            )
            .into(),
            StorageTrouble::Damaged { what } => pick!(
                self,
                format!("Something that was kept can't be read, and is left out: {what}."),
                format!("有一项保存的内容读不出来，已略过：{what}。"),
            ),
        }
    }
}
