//! What the page says of fine-tuning.

use super::{Lang, Piece, Token, count, percent};
use crate::data::PIXELS;
use crate::data::set::SetProblem;
use crate::page::state::finetune::{Arm, Base};
use crate::page::state::{PageState, Phase};
use crate::training::Score;
use crate::training::exam::Exam;
use crate::training::finetune::{BeforeAfter, CLASSES, FineTuneProblem, NewData, REPLAY, Shift, Trainable};

words! {
    modes: "What to train", "训练方式";
    forget_set: "Remove this set", "移除这个数据集";
    train_from_scratch: "From scratch", "从头训练";
    fine_tune: "Fine-tune", "微调";
    teach_it: "Teach it your hand", "教它认我的字";
    keep_network: "Keep this network", "留下它";
    network_kept: "Kept on the shelf", "已放上模型架";
    before_and_after: "Before and after", "微调前后";
    is_frozen: "frozen", "冻结";
    layer_trains: "trains", "训练";
    keep_it: "Keep", "留下";
    is_kept: "Kept", "已留下";
    try_it_too: "Train it too", "也训练它";
    as_before: "Before", "之前";
    same_start: "From the same start", "同一起点";
    forgotten_count: "Forgotten", "忘掉的";
    see_forgotten: "See the forgotten", "看看忘了哪些";
    hide_forgotten: "Hide them", "收起";
    no_longer_applies: "The classes are new, so the old test no longer applies.", "类别换了，旧的测试不再适用。";
    held_out_key: "held out", "留出";
    train_one_first: "train one from scratch", "先从头训练一个";
    data_yours: "Your digits", "你的数字";
    data_rotated: "MNIST, turned by 40°", "转了 40° 的 MNIST";
    data_inverted: "MNIST, inverted", "反相的 MNIST";
    data_noisy: "MNIST, noisy", "加噪的 MNIST";
    data_thick: "MNIST, thick strokes", "加粗的 MNIST";
    data_classes: "New classes, named by you", "你命名的新类别";
    data_what: "What it learns from", "用什么来教";
    other_set: "Another set in IDX files (Fashion-MNIST, KMNIST): drop them on the page, or",
        "其他 IDX 数据集（Fashion-MNIST、KMNIST）：拖到页面上，或者";
    choose_files: "choose files…", "选择文件…";
    class_names: "Names of the new classes", "新类别的名字";
    replay_old: "MNIST digits mixed in for each new one", "每个新数字混入几个 MNIST 数字";
    replay_effect: "Against forgetting what it knew: compare both numbers under Before and after",
        "防止忘掉旧的：比较“微调前后”里的两个数";
    start_what: "The network to start from", "从哪个网络开始";
    freeze_what: "What learns, and what stays as it is", "哪些层学习，哪些不变";
    the_run_above: "the network just trained", "刚训练的网络";
    that_file: "the network from the file", "文件里的网络";
    forgotten_title: "Forgotten: read right before, and wrong now", "忘掉的：以前读对，现在读错";
    class_by_class: "MNIST's test digits by class, right before and after", "各类 MNIST 测试数字，前后读对的个数";
}

impl Lang {
    /// The headline, where fine-tuning has one of its own.
    pub(super) fn finetune_headline(self, state: &PageState) -> Option<String> {
        state.finetune().filter(|_| state.resumable().is_none() && state.opened().is_none())?;
        match &state.phase {
            Phase::Ready if state.names_classes() => {
                Some(pick!(self, "Now teach it new signs.", "现在，教它认新的符号。").into())
            }
            Phase::Ready => Some(pick!(self, "Now teach it your hand.", "现在，教它认你的字。").into()),
            Phase::Finished { stopped: false } => {
                let arm = state.keepable()?;
                let (before, after) = (arm.comparison.held_out.before.score(), arm.comparison.held_out.after.score());
                Some(self.came_of_it(arm, before, after))
            }
            _ => None,
        }
    }

    fn came_of_it(self, arm: &Arm, before: Score, after: Score) -> String {
        let (from, to, total) = (count(before.correct), count(after.correct), count(after.total));
        if after.correct <= before.correct {
            return if after.correct == before.correct {
                pick!(
                    self,
                    format!("No better yet: {from} of {total} before and after."),
                    format!("还没有变好：前后都是 {total} 个中的 {from} 个。"),
                )
            } else {
                pick!(
                    self,
                    format!("No better yet: from {from} to {to} of {total}."),
                    format!("还没有变好：{total} 个中从 {from} 个到 {to} 个。"),
                )
            };
        }
        match arm.config.finetune.as_ref().map(|finetune| (&finetune.data, finetune.classes.is_empty())) {
            Some((NewData::Yours, true)) => pick!(
                self,
                format!("It reads your hand now: from {from} to *{to} of {total}*."),
                format!("它认得你的字了：{total} 个中从 {from} 个到 *{to} 个*。"),
            ),
            Some((NewData::Yours, false)) => pick!(
                self,
                format!("It knows your signs now: from {from} to *{to} of {total}*."),
                format!("它认得你的符号了：{total} 个中从 {from} 个到 *{to} 个*。"),
            ),
            _ => pick!(
                self,
                format!("It reads the new set now: from {from} to *{to} of {total}*."),
                format!("它认得新的数据了：{total} 个中从 {from} 个到 *{to} 个*。"),
            ),
        }
    }

    /// The line under the headline, where fine-tuning has one of its own.
    pub(super) fn finetune_line(self, state: &PageState) -> Option<String> {
        let finetune = state.finetune().filter(|_| state.resumable().is_none() && state.opened().is_none())?;
        match &state.phase {
            Phase::Ready if state.tuning.base.is_none() => Some(
                pick!(
                    self,
                    "It takes a trained network to start from, and there is none yet.",
                    "需要一个训练好的网络作为起点，现在还没有。",
                )
                .into(),
            ),
            Phase::Ready => Some(
                match finetune.data {
                    NewData::Yours if state.names_classes() => pick!(
                        self,
                        "Draw each of them six times. Four train the network, two are held out to check it honestly.",
                        "每个画六遍：四个用来训练，两个留出，用来如实检验。",
                    ),
                    NewData::Yours => pick!(
                        self,
                        "Draw each digit six times. Four of each train the network, two are held out to check it honestly.",
                        "每个数字画六遍：四个用来训练，两个留出，用来如实检验。",
                    ),
                    _ => pick!(
                        self,
                        "A part of the new set is kept aside, to check it honestly.",
                        "新数据留出一部分，用来如实检验。",
                    ),
                }
                .into(),
            ),
            Phase::Finished { stopped: false } => {
                let arm = state.keepable()?;
                Some(match &arm.comparison.old_test {
                    Some(old) => self.price(old),
                    None => self.no_longer_applies().into(),
                })
            }
            Phase::Training(_) if state.run.as_ref().and_then(super::Run::score).is_some() => {
                let prepared = state.run.as_ref()?.prepared.as_ref()?;
                let total = prepared.validation.iter().sum::<u32>();
                Some(pick!(
                    self,
                    format!("Measured on {} that it does not learn from.", self.of_new(total)),
                    format!("用 {total} 个不参与训练的新数字测得。"),
                ))
            }
            _ => None,
        }
    }

    fn of_new(self, total: u32) -> String {
        match total {
            1 => "1 new image".into(),
            _ => format!("{} new images", count(total)),
        }
    }

    fn price(self, old: &BeforeAfter) -> String {
        let (forgotten, regained) = old.changes();
        let (forgot, right) = (count(forgotten.len() as u32), count(regained.len() as u32));
        let total = count(old.after.score().total);
        match (forgotten.len(), regained.len()) {
            (0, 0) => pick!(
                self,
                format!("And it forgot nothing: all of MNIST's {total} test digits are read as before."),
                format!("而且什么都没忘：MNIST 的 {total} 个测试数字都和以前读得一样。"),
            ),
            (0, _) => pick!(
                self,
                format!("And it forgot nothing: of MNIST's {total} test digits it got {right} newly right."),
                format!("而且什么都没忘：MNIST 的 {total} 个测试数字里还新读对 {right} 个。"),
            ),
            _ => pick!(
                self,
                format!(
                    "The price: it forgot {forgot} of MNIST's {total} test digits, and got {right} others newly right."
                ),
                format!("代价：MNIST 的 {total} 个测试数字忘了 {forgot} 个，新读对 {right} 个。"),
            ),
        }
    }

    /// A network to start from, as a word of the sentence.
    pub fn base(self, base: Option<&Base>) -> String {
        let Some(base) = base else { return pick!(self, "a trained network", "一个训练好的网络").into() };
        let name = match (base.name.as_str(), base.source) {
            ("", crate::page::state::finetune::Source::File) => self.that_file(),
            ("", _) => self.the_run_above(),
            (name, _) => name,
        };
        match base.score {
            Some(score) => {
                let accuracy = percent(score.accuracy(), 2);
                pick!(self, format!("{name}, {accuracy}"), format!("{name}（{accuracy}）"))
            }
            None => name.to_owned(),
        }
    }

    /// What is frozen, as a word of the sentence.
    pub fn freezing(self, trainable: Trainable) -> &'static str {
        match trainable {
            Trainable::Everything => pick!(self, "nothing frozen", "全部可训练"),
            Trainable::Dense => pick!(self, "the convolutions frozen", "冻结卷积层"),
            Trainable::Last => pick!(self, "all but the last layer frozen", "只训练最后一层"),
        }
    }

    /// A way to fine-tune, in a list.
    pub fn way(self, trainable: Trainable) -> &'static str {
        match trainable {
            Trainable::Everything => pick!(self, "Everything trained", "全部训练"),
            Trainable::Dense => pick!(self, "Convolutions frozen", "冻结卷积层"),
            Trainable::Last => pick!(self, "Last layer only", "只训练最后一层"),
        }
    }

    /// What a way means.
    pub fn way_effect(self, trainable: Trainable, parameters: usize) -> String {
        let parameters = count(parameters as u32);
        match trainable {
            Trainable::Everything => pick!(
                self,
                format!("{parameters} parameters learn: it can change the most, and forget the most"),
                format!("{parameters} 个参数参与学习：能变得最多，也可能忘得最多"),
            ),
            Trainable::Dense => pick!(
                self,
                format!("{parameters} parameters learn: it sees as before, and decides anew"),
                format!("{parameters} 个参数参与学习：看法不变，判断重学"),
            ),
            Trainable::Last => pick!(
                self,
                format!("{parameters} parameters learn: only the ten answers change"),
                format!("{parameters} 个参数参与学习：只改最后的答案"),
            ),
        }
    }

    /// The new data, as a word of the sentence.
    pub fn new_data(self, state: &PageState) -> String {
        let Some(finetune) = state.finetune() else { return String::new() };
        let data = match &finetune.data {
            NewData::Yours => {
                let training = count(state.collection().training() as u32);
                if finetune.classes.is_empty() {
                    pick!(self, format!("{training} of your digits"), format!("{training} 个你的数字"))
                } else {
                    let classes = finetune.classes.len();
                    pick!(
                        self,
                        format!("{training} drawings of {classes} new classes"),
                        format!("{classes} 个新类别的 {training} 张图"),
                    )
                }
            }
            NewData::Set { name } => name.clone(),
            NewData::Shifted { shift } => {
                let digits = count(state.settings.train_size);
                let how = match shift {
                    Shift::Rotated => pick!(self, "turned", "转过的"),
                    Shift::Inverted => pick!(self, "inverted", "反相的"),
                    Shift::Noisy => pick!(self, "noisy", "加噪的"),
                    Shift::Thick => pick!(self, "thick", "加粗的"),
                };
                pick!(self, format!("{digits} {how} digits"), format!("{digits} 个{how}数字"))
            }
        };
        if finetune.replay > 0.0 {
            pick!(self, format!("{data} and some old ones"), format!("{data}（混入旧的）"))
        } else {
            data
        }
    }

    /// The sentence of fine-tuning.
    pub(super) fn finetune_sentence(self, state: &PageState, epochs: Piece, batch: Piece, rate: Piece) -> Vec<Piece> {
        use Piece::{Plain, Word};
        let trainable = state.finetune().map(|finetune| finetune.trainable).unwrap_or_default();
        let start = Word(Token::Start, self.base(state.tuning.base.as_ref()));
        let freeze = Word(Token::Freeze, self.freezing(trainable).into());
        let data = Word(Token::NewData, self.new_data(state));
        let (en, zh) = match trainable {
            Trainable::Everything => (", and train all layers on ", " 训练所有层"),
            Trainable::Dense => (", and train the dense layers on ", " 训练全连接层"),
            Trainable::Last => (", and train that one on ", " 训练它"),
        };
        match self {
            Lang::En => vec![
                Plain("Start from "),
                start,
                Plain(", keep "),
                freeze,
                Plain(en),
                data,
                Plain(" for "),
                epochs,
                Plain(", "),
                batch,
                Plain(", at "),
                rate,
                Plain("."),
            ],
            Lang::Zh => vec![
                Plain("从 "),
                start,
                Plain(" 开始，"),
                freeze,
                Plain("，用 "),
                data,
                Plain(zh),
                Plain("，共 "),
                epochs,
                Plain("，每批 "),
                batch,
                Plain("，学习率 "),
                rate,
                Plain("。"),
            ],
        }
    }

    /// Why Train waits: what is missing, before the link that trains all the same.
    pub fn more_to_draw(self, missing: usize) -> String {
        match (self, missing) {
            (Lang::En, 1) => "1 more digit to draw, or ".into(),
            (Lang::En, _) => format!("{missing} more digits to draw, or "),
            (Lang::Zh, _) => format!("还差 {missing} 个，或者"),
        }
    }

    /// The link that trains with what is there.
    pub fn train_with_these(self, drawn: usize) -> String {
        pick!(self, format!("train with these {drawn}"), format!("就用这 {drawn} 个训练"))
    }

    /// Which classes it won't learn then.
    pub fn wont_learn(self, classes: &[&str]) -> String {
        let list = classes.join(pick!(self, ", ", "、"));
        pick!(self, format!("It won't learn your {list} then."), format!("那样它学不会你的 {list}。"))
    }

    /// What is missing before it can be measured.
    pub fn few_to_measure(self) -> &'static str {
        pick!(self, "Three drawings are the least: one of them is held out.", "至少画三个，其中一个留出。")
    }

    /// The room's line: what both start from.
    pub fn same_checkpoint(self, base: &str) -> String {
        pick!(
            self,
            format!("Both start from the same network, {base}. Hollow is before, filled is after."),
            format!("都从同一个网络开始：{base}。空心是之前，实心是之后。"),
        )
    }

    /// The heading of the measure on new data.
    pub fn new_held_out(self, arm: &Arm) -> &'static str {
        match arm.config.finetune.as_ref().map(|finetune| (&finetune.data, finetune.classes.is_empty())) {
            Some((NewData::Yours, true)) => pick!(self, "Your digits, held out", "你的数字（留出）"),
            Some((NewData::Yours, false)) => pick!(self, "Your classes, held out", "你的类别（留出）"),
            _ => pick!(self, "The new set, held out", "新数据（留出）"),
        }
    }

    /// The heading of the measure on old data.
    pub fn old_test(self, name: &str) -> String {
        pick!(self, format!("{name}'s test set: what it forgot"), format!("{name} 测试集：忘了多少"))
    }

    /// "of 20, none of them trained on".
    pub fn none_trained_on(self, total: u32) -> String {
        let total = count(total);
        pick!(self, format!("of {total}, none of them trained on"), format!("共 {total} 个，都没有训练过"))
    }

    /// How much of the old test set counts.
    pub fn counted_of(self, exam: &Exam) -> String {
        let (counted, all, left) =
            (exam.score().total, exam.labels.len() as u32, (exam.labels.len() - exam.counted().count()) as u32);
        let (counted, all) = (count(counted), count(all));
        match left {
            0 => pick!(self, format!("of {all}"), format!("共 {all} 个")),
            _ => pick!(
                self,
                format!("{counted} of {all}: {left} that it trained on are left out"),
                format!("{all} 个中的 {counted} 个：训练过的 {left} 个不计"),
            ),
        }
    }

    /// A share's interval: "63.1–95.9%".
    pub fn interval95(self, score: Score) -> String {
        let (low, high) = score.interval();
        format!("{}–{}", percent(low, 1).trim_end_matches('%'), percent(high, 1))
    }

    /// That the intervals are what they are.
    pub fn with_intervals(self, rest: &str) -> String {
        pick!(self, format!("{rest}; in small, the 95% intervals"), format!("{rest}；小字为 95% 区间"))
    }

    /// What so few samples can't tell; `None` where the intervals are apart.
    pub fn inconclusive(self, before: Score, after: Score) -> Option<String> {
        let ((a, b), (c, d)) = (before.interval(), after.interval());
        let apart = b < c || d < a;
        (!apart).then(|| {
            let total = count(after.total);
            pick!(
                self,
                format!(
                    "With {total} held out, the two intervals overlap: this may be luck. More drawings would tell."
                ),
                format!("只留出 {total} 个，两个区间有重叠：可能只是运气。多画一些才能确定。"),
            )
        })
    }

    /// That the same samples chose the best epoch.
    pub fn flattering(self) -> &'static str {
        pick!(
            self,
            "The held-out ones also chose the best epoch, since there are so few: a little flattering.",
            "因为太少，留出的这些也用来选最好的一轮：结果略偏乐观。",
        )
    }

    /// Each held-out drawing.
    pub fn each_as_read(self) -> &'static str {
        pick!(self, "Each as it was read before, and after.", "每一个之前和之后的读法。")
    }

    /// "*46 forgotten*, 17 newly right."
    pub fn forgotten_and_regained(self, forgotten: usize, regained: usize) -> String {
        let (forgotten, regained) = (count(forgotten as u32), count(regained as u32));
        pick!(
            self,
            format!("*{forgotten} forgotten*, {regained} newly right."),
            format!("*忘了 {forgotten} 个*，新读对 {regained} 个。"),
        )
    }

    /// One of the forgotten.
    pub fn forgotten_one(self, label: &str, read: &str) -> String {
        pick!(self, format!("was *{label}*, reads *{read}* now"), format!("是 *{label}*，现在读成 *{read}*"))
    }

    /// A class's dumbbell as it is spoken.
    pub fn class_change(self, name: &str, before: u32, after: u32, total: u32) -> String {
        let (before, after, total) = (count(before), count(after), count(total));
        pick!(
            self,
            format!("{name}: {before} before, {after} after, of {total}"),
            format!("{name}：{total} 个中，之前 {before}，之后 {after}"),
        )
    }

    /// A held-out drawing, spoken.
    pub fn reading_change(self, label: &str, before: &str, after: &str) -> String {
        let class = self.a_class(label);
        pick!(
            self,
            format!("{class}: read as {before} before, as {after} after"),
            format!("{class}：之前读成 {before}，之后读成 {after}"),
        )
    }

    /// The column of parameters that learn.
    pub fn trains_column(self) -> &'static str {
        pick!(self, "Trains", "训练参数")
    }

    /// The column of the new data.
    pub fn new_column(self, arm: &Arm) -> &'static str {
        match arm.config.finetune.as_ref().map(|finetune| (&finetune.data, finetune.classes.is_empty())) {
            Some((NewData::Yours, true)) => pick!(self, "Your digits", "你的数字"),
            Some((NewData::Yours, false)) => pick!(self, "Your classes", "你的类别"),
            _ => pick!(self, "New set", "新数据"),
        }
    }

    /// The column of the old test.
    pub fn old_column(self) -> &'static str {
        pick!(self, "MNIST test", "MNIST 测试")
    }

    /// The name of a network that was fine-tuned.
    pub fn tuned_name(self, base: &str, data: &NewData) -> String {
        let what = match data {
            NewData::Yours => pick!(self, "my hand", "我的字").to_owned(),
            NewData::Set { name } => name.clone(),
            NewData::Shifted { shift } => match shift {
                Shift::Rotated => pick!(self, "turned", "旋转"),
                Shift::Inverted => pick!(self, "inverted", "反相"),
                Shift::Noisy => pick!(self, "noisy", "加噪"),
                Shift::Thick => pick!(self, "thick", "加粗"),
            }
            .to_owned(),
        };
        if base.is_empty() { what } else { pick!(self, format!("{base}, {what}"), format!("{base}，{what}")) }
    }

    /// "named *Celadon, my hand*".
    pub fn to_be_named(self, name: &str) -> String {
        pick!(self, format!("named *{name}*"), format!("名为 *{name}*"))
    }

    /// A set that was imported.
    pub fn imported_set(self, name: &str, images: u32, classes: usize) -> String {
        let images = count(images);
        pick!(self, format!("{name}: {images} images, {classes} classes"), format!("{name}：{images} 张，{classes} 类"))
    }

    /// Why a fine-tuning run can't start.
    pub(super) fn finetune_problem(self, problem: &FineTuneProblem) -> String {
        match problem {
            FineTuneProblem::Basis { what } => pick!(
                self,
                format!("The network to start from can't be used: {what}."),
                format!("作为起点的网络无法使用：{what}。"),
            ),
            FineTuneProblem::OtherNetwork => pick!(
                self,
                "The recipe's network is not the one that the run starts from.",
                "配方里的网络与作为起点的网络不同。",
            )
            .into(),
            FineTuneProblem::Classes { count } => {
                let (low, high) = (CLASSES.start(), CLASSES.end());
                pick!(
                    self,
                    format!("{count} classes; {low} to {high} are possible."),
                    format!("{count} 类；应为 {low} 到 {high} 类。"),
                )
            }
            FineTuneProblem::Replay => {
                let (low, high) = (REPLAY.start(), REPLAY.end());
                pick!(
                    self,
                    format!("{low} to {high} old images for each new one are possible."),
                    format!("每张新图可以混入 {low} 到 {high} 张旧图。"),
                )
            }
            FineTuneProblem::ReplayWithNewClasses => pick!(
                self,
                "Old images can't be mixed in when the classes are replaced.",
                "换了类别之后，不能再混入旧图。"
            )
            .into(),
            FineTuneProblem::NoSet { name } => pick!(
                self,
                format!("The set {name} is not here; import it again."),
                format!("数据集 {name} 不在这里，请重新导入。"),
            ),
            FineTuneProblem::Label { label, classes } => pick!(
                self,
                format!("An image is of class {label}; the network has {classes} classes."),
                format!("有一张图属于第 {label} 类，而网络只有 {classes} 类。"),
            ),
            FineTuneProblem::Sample { id, found } => pick!(
                self,
                format!("Sample {id} has {found} pixels instead of {PIXELS}."),
                format!("样本 {id} 有 {found} 个像素，应为 {PIXELS} 个。"),
            ),
            FineTuneProblem::NothingToTrainOn => {
                pick!(self, "There is no new image to train on.", "没有可用于训练的新图。").into()
            }
            FineTuneProblem::NothingHeldOut => {
                pick!(self, "No new image is held out, so nothing could be measured.", "没有留出新图，无法测量效果。")
                    .into()
            }
            FineTuneProblem::OtherData { expected, found } => pick!(
                self,
                format!("The saved run looked at {expected} images an epoch, and {found} are here."),
                format!("保存的训练每轮看 {expected} 张图，而这里有 {found} 张。"),
            ),
        }
    }

    /// Why files are no set. What is wrong inside of a file is told in the reader's own words.
    pub fn set_problem(self, problem: &SetProblem) -> String {
        let zh = match problem {
            SetProblem::Files { images, labels } => {
                format!("应有一对或两对图像与标签文件，现有图像 {images} 个、标签 {labels} 个")
            }
            SetProblem::TooLarge { file } => format!("{file} 里的图太多"),
            SetProblem::NoLabels { file, images } => format!("{file} 有 {images} 张图，却没有同样多的标签"),
            SetProblem::Empty => "里面没有图".into(),
            SetProblem::OneClass => "所有的图都属于同一类".into(),
            SetProblem::Gzip { .. } | SetProblem::Idx { .. } => problem.to_string(),
        };
        pick!(self, format!("No set can be made of these files: {problem}."), format!("这些文件不能作为数据集：{zh}。"))
    }
}
