//! The words of the recipe: its settings, what each does, and what is wrong with it.

use super::{Lang, count, decimal};
use crate::data::augment::{Amount, Augmentation, Change};
use crate::model::summary::{MAX_CONVOLUTIONS, MAX_DENSE, MAX_KERNEL, MAX_WIDTH, SizeBound};
use crate::model::{NetworkConfig, NetworkError, summarize};
use crate::page::settings::layers::Repair;
use crate::page::settings::{Bounds, Field, is_changed, mixture};
use crate::protocol::ConfigurationProblem;
use crate::training::RunConfig;
use crate::training::config::{Optimizer, Schedule};

words! {
    new_seed: "new", "换一个";
    back_to_defaults: "Back to the defaults", "恢复默认";
    augmentation: "Augmentation", "数据增强";
    schedule_and_stopping: "Schedule and stopping", "调度与提前停止";
    regularisation: "Regularisation", "正则化";
    data: "Data", "数据";
    edit_layers: "Edit the layers", "编辑各层";
    filters: "filters", "滤波器";
    kernel: "kernel", "卷积核";
    padding: "padding", "填充";
    padding_same: "same", "同尺寸";
    padding_none: "none", "无";
    pool: "pool", "池化";
    width: "width", "宽度";
    add_convolution: "Add a convolution", "添加卷积层";
    add_dense: "Add a dense layer", "添加全连接层";
    default_layers: "The article's layers", "文章中的各层";
    answers_layer: "the ten answers, always there", "十个答案，总是在";
    presets: "Mixtures", "组合";
    preset_none: "None", "无";
    preset_gentle: "Gentle", "温和";
    preset_robust: "Robust", "强韧";
    preview_waits: "The preview comes with the first digits.", "第一批数字到达后，这里会出现预览。";
    roll_again: "Roll again", "再掷一次";
    how_strong: "how strong", "多强";
    how_often: "how often", "多常";
    flip_warns: "A mirrored digit is another sign, or none: a mirrored 2 is not a 2. Better off for digits.",
        "镜像之后就不是原来的数字了：镜像的 2 不是 2。对数字来说最好关掉。";
    augmentation_is: "Each digit is changed anew each time it is seen; validation and test never.",
        "每个数字每次被看到时都会重新变化；验证和测试从不变化。";
}

impl Lang {
    /// A setting's name.
    pub fn field(self, field: Field) -> &'static str {
        match field {
            Field::Epochs => pick!(self, "Epochs", "轮数"),
            Field::BatchSize => pick!(self, "Batch size", "批大小"),
            Field::LearningRate => pick!(self, "Learning rate", "学习率"),
            Field::Optimizer => pick!(self, "Optimizer", "优化器"),
            Field::Momentum => pick!(self, "Momentum", "动量"),
            Field::TrainSize => pick!(self, "Training digits", "训练用的数字"),
            Field::Seed => pick!(self, "Seed", "种子"),
            Field::Network => self.network(),
            Field::BatchNorm => pick!(self, "Batch normalisation", "批归一化"),
            Field::Dropout => pick!(self, "Dropout", "随机失活"),
            Field::Schedule => pick!(self, "Schedule", "学习率调度"),
            Field::DecayEvery => pick!(self, "A step every", "每隔几轮下降"),
            Field::DecayFactor => pick!(self, "Times", "每次乘以"),
            Field::WarmUp => pick!(self, "Warm-up", "预热"),
            Field::Patience => pick!(self, "Early stopping", "提前停止"),
            Field::WeightDecay => pick!(self, "Weight decay", "权重衰减"),
            Field::ClipNorm => pick!(self, "Gradient clipping", "梯度裁剪"),
            Field::LabelSmoothing => pick!(self, "Label smoothing", "标签平滑"),
            Field::Augment => self.augmentation(),
            Field::Change(Change::Rotation) => pick!(self, "Rotation", "旋转"),
            Field::Change(Change::Crop) => pick!(self, "Crop", "裁切"),
            Field::Change(Change::Flip) => pick!(self, "Flip", "翻转"),
            Field::Change(Change::Scale) => pick!(self, "Scale", "缩放"),
            Field::Change(Change::Translation) => pick!(self, "Translation", "平移"),
            Field::Change(Change::Brightness) => pick!(self, "Brightness", "亮度"),
            Field::Change(Change::Contrast) => pick!(self, "Contrast", "对比度"),
            Field::Change(Change::Noise) => pick!(self, "Noise", "噪声"),
        }
    }

    /// What a setting does, with the value that it has.
    pub fn effect(self, field: Field, config: &RunConfig, running: bool) -> &'static str {
        match field {
            Field::Epochs => pick!(self, "How often it sees every digit", "每个数字看几遍"),
            Field::BatchSize => pick!(self, "Digits looked at before each change", "每次改动前看几个数字"),
            Field::LearningRate if running => {
                pick!(self, "How big each change is; from the next batch on", "每次改动多大；从下一批起生效")
            }
            Field::LearningRate => {
                pick!(self, "How big each change is; may be changed while it trains", "每次改动多大；训练中也可以改")
            }
            Field::Optimizer => match config.optimizer {
                Optimizer::Adam => pick!(
                    self,
                    "How the changes are worked out: a step size for each weight",
                    "怎样算出改动：每个权重各有步长",
                ),
                Optimizer::AdamW => {
                    pick!(self, "Adam, with weight decay kept apart from the gradients", "Adam，权重衰减与梯度分开")
                }
                Optimizer::Sgd => pick!(
                    self,
                    "The plain rule, with momentum. It wants a larger learning rate, about 0.05",
                    "最朴素的规则，带动量。学习率要大些，约 0.05",
                ),
                Optimizer::RmsProp => {
                    pick!(self, "Step sizes from each weight's recent gradients", "步长来自每个权重最近的梯度")
                }
            },
            Field::Momentum => {
                pick!(self, "Share of the last change that the next one keeps", "下一次改动保留上一次的多少")
            }
            Field::TrainSize => pick!(self, "Fewer train faster and read worse", "少一些更快，但读得差些"),
            Field::Seed => pick!(self, "The same seed gives the same run", "同样的种子，同样的过程"),
            Field::BatchNorm => pick!(
                self,
                "Evens out each block's outputs: learns in fewer epochs, each a little slower",
                "把每个模块的输出拉平：需要的轮数更少，每轮稍慢",
            ),
            Field::Dropout => pick!(
                self,
                "Share of the dense layer switched off in each step: less learning by heart",
                "每一步随机关掉全连接层的一部分：少死记硬背",
            ),
            Field::Schedule => match config.schedule {
                Schedule::Constant => pick!(self, "The learning rate stays as it is", "学习率保持不变"),
                Schedule::Step => pick!(self, "The learning rate falls in steps", "学习率逐级下降"),
                Schedule::Cosine => {
                    pick!(self, "It falls along half a cosine, to nothing at the end", "沿半个余弦下降，到结束时为零")
                }
            },
            Field::DecayEvery => pick!(self, "Epochs from one step to the next", "两次下降之间的轮数"),
            Field::DecayFactor => pick!(self, "What the rate is multiplied by at each step", "每次下降时乘以的系数"),
            Field::WarmUp => {
                pick!(self, "Epochs in which the rate rises from nothing; 0 is off", "学习率从零升起的轮数；0 为关闭")
            }
            Field::Patience => {
                pick!(self, "Ends after that many epochs without a gain; 0 is off", "这么多轮没有进步就结束；0 为关闭")
            }
            Field::WeightDecay => pick!(
                self,
                "Pulls weights towards zero; often 0.01 with AdamW, 0 is off",
                "把权重拉向零；AdamW 常用 0.01，0 为关闭",
            ),
            Field::ClipNorm => {
                pick!(self, "Gradients longer than this are scaled down; 0 is off", "梯度超过这个长度就缩短；0 为关闭")
            }
            Field::LabelSmoothing => pick!(
                self,
                "Share of each answer spread over all ten; 0 is off",
                "把每个答案的这一份平摊给十个；0 为关闭"
            ),
            Field::Change(Change::Flip) => self.flip_warns(),
            Field::Network | Field::Augment | Field::Change(_) => "",
        }
    }

    /// A value that is chosen from a list.
    pub fn choice(self, field: Field, value: &str) -> &'static str {
        match (field, value) {
            (Field::Optimizer, "adam") => self.optimizer(Optimizer::Adam),
            (Field::Optimizer, "adamw") => self.optimizer(Optimizer::AdamW),
            (Field::Optimizer, "sgd") => self.optimizer(Optimizer::Sgd),
            (Field::Optimizer, "rmsprop") => self.optimizer(Optimizer::RmsProp),
            (Field::Schedule, "constant") => self.schedule(Schedule::Constant),
            (Field::Schedule, "step") => self.schedule(Schedule::Step),
            (Field::Schedule, "cosine") => self.schedule(Schedule::Cosine),
            (Field::Augment, "none") => self.preset_none(),
            (Field::Augment, "gentle") => self.preset_gentle(),
            (Field::Augment, "robust") => self.preset_robust(),
            _ => "",
        }
    }

    /// An optimizer's name.
    pub fn optimizer(self, optimizer: Optimizer) -> &'static str {
        match optimizer {
            Optimizer::Adam => "Adam",
            Optimizer::AdamW => "AdamW",
            Optimizer::Sgd => "SGD",
            Optimizer::RmsProp => "RMSprop",
        }
    }

    /// A schedule's name.
    pub fn schedule(self, schedule: Schedule) -> &'static str {
        match schedule {
            Schedule::Constant => pick!(self, "constant", "不变"),
            Schedule::Step => pick!(self, "in steps", "逐级"),
            Schedule::Cosine => pick!(self, "cosine", "余弦"),
        }
    }

    /// Why a value was not taken.
    pub fn bounds(self, bounds: &Bounds) -> String {
        match bounds {
            Bounds::Range(low, high) => pick!(self, format!("From {low} to {high}."), format!("{low} 到 {high}。")),
            Bounds::OneOf(values) => {
                let values = values.join(", ");
                pick!(self, format!("One of {values}."), format!("可用的值：{values}。"))
            }
            Bounds::Like(example) => pick!(self, format!("For example {example}."), format!("例如 {example}。")),
        }
    }

    /// How many settings differ from their defaults, and from when on.
    pub fn changes(self, changed: usize, busy: bool) -> String {
        let when = if busy { pick!(self, ", from the next run on", "，从下次训练起生效") } else { "" };
        match (self, changed) {
            (Lang::En, 0) => "All at their defaults".into(),
            (Lang::En, 1) => format!("1 change{when}"),
            (Lang::En, _) => format!("{changed} changes{when}"),
            (Lang::Zh, 0) => "全部为默认值".into(),
            (Lang::Zh, _) => format!("{changed} 处改动{when}"),
        }
    }

    /// The button that takes a field back to its default, for those who only hear it.
    pub fn back_to(self, default: &str) -> String {
        pick!(self, format!("Back to {default}"), format!("恢复为 {default}"))
    }

    /// The network's word in the sentence.
    pub fn network_word(self, network: &NetworkConfig) -> String {
        let usual = RunConfig::default().network;
        if (&network.convolutions, &network.dense) == (&usual.convolutions, &usual.dense) {
            return pick!(self, "a small convolutional network", "一个小卷积网络").into();
        }
        match summarize(network) {
            Ok(summary) => {
                let parameters = count(summary.parameters() as u32);
                pick!(self, format!("a network of {parameters} parameters"), format!("一个 {parameters} 参数的网络"))
            }
            Err(_) => pick!(self, "a network that doesn't fit", "一个放不下的网络").into(),
        }
    }

    /// The network in a few words.
    pub fn network_summary(self, network: &NetworkConfig) -> String {
        match summarize(network) {
            Ok(summary) => {
                let (convolutions, dense) = (network.convolutions.len(), network.dense.len() + 1);
                let parameters = count(summary.parameters() as u32);
                let s = if convolutions == 1 { "" } else { "s" };
                pick!(
                    self,
                    format!("{convolutions} convolution{s}, {dense} dense · {parameters}"),
                    format!("{convolutions} 个卷积，{dense} 个全连接 · {parameters}"),
                )
            }
            Err(error) => self.network_error(&error),
        }
    }

    /// Why a configuration can't be run.
    pub(in crate::page) fn configuration_problem(self, problem: &ConfigurationProblem) -> String {
        match problem {
            ConfigurationProblem::Bounds { field } => {
                pick!(self, format!("{field} is out of its bounds."), format!("{field} 超出了范围。"))
            }
            ConfigurationProblem::Classes { asked, here } => pick!(
                self,
                format!("The network tells {asked} classes apart, and the data has {here}."),
                format!("网络区分 {asked} 类，而数据有 {here} 类。"),
            ),
            ConfigurationProblem::Images { asked, here } => pick!(
                self,
                format!("It wants {} training images; there are {}.", count(*asked), count(*here)),
                format!("它要 {} 张训练图，而这里只有 {} 张。", count(*asked), count(*here)),
            ),
            ConfigurationProblem::Network(error) => self.network_error(error),
            ConfigurationProblem::Sweep(error) => self.sweep_error(error),
            ConfigurationProblem::Checkpoint { what } => {
                pick!(self, format!("The saved run does not fit: {what}."), format!("保存的训练对不上：{what}。"))
            }
            ConfigurationProblem::Storage(trouble) => self.storage_trouble(trouble),
        }
    }

    /// Why a network can't be built, and where.
    pub fn network_error(self, error: &NetworkError) -> String {
        match error {
            NetworkError::Kernel { layer, kernel, side } => pick!(
                self,
                format!("Layer {layer} doesn't fit: a {kernel}×{kernel} kernel on {side}×{side} pixels."),
                format!("第 {layer} 层放不下：只剩 {side}×{side} 个像素，卷积核却是 {kernel}×{kernel}。"),
            ),
            NetworkError::Pool { layer, side } => pick!(
                self,
                format!("Layer {layer} doesn't fit: {side}×{side} can't be pooled."),
                format!("第 {layer} 层放不下：{side}×{side} 无法再池化。"),
            ),
            NetworkError::Dropout => {
                pick!(self, "Dropout must lie between 0 and 0.9.", "随机失活须在 0 与 0.9 之间。").into()
            }
            NetworkError::Size { layer, bound } => {
                let zh = match bound {
                    SizeBound::Convolutions => format!("最多 {MAX_CONVOLUTIONS} 个卷积层"),
                    SizeBound::Filters => format!("滤波器应为 1 到 {MAX_WIDTH} 个"),
                    SizeBound::Kernel => format!("卷积核的边长应为 1 到 {MAX_KERNEL} 的奇数"),
                    SizeBound::Dense => format!("最多 {MAX_DENSE} 个全连接隐藏层"),
                    SizeBound::Outputs => format!("输出应为 1 到 {MAX_WIDTH} 个"),
                    SizeBound::Parameters => "加上它，参数超过了 1600 万个".into(),
                };
                pick!(self, format!("Layer {layer}: {bound}."), format!("第 {layer} 层：{zh}。"))
            }
        }
    }

    /// The way on from it.
    pub fn repair(self, repair: Repair) -> String {
        match repair {
            Repair::SamePadding => pick!(self, "Use “same” padding", "使用“同尺寸”填充").into(),
            Repair::NoPool(layer) => {
                pick!(self, format!("Leave out layer {layer}'s pool"), format!("去掉第 {layer} 层的池化"))
            }
            Repair::Without(layer) => pick!(self, format!("Leave out layer {layer}"), format!("去掉第 {layer} 层")),
        }
    }

    /// A convolution of the editor.
    pub fn conv_title(self, layer: usize) -> String {
        pick!(self, format!("Conv {layer}"), format!("卷积 {layer}"))
    }

    /// A dense layer of the editor.
    pub fn dense_title(self, layer: usize) -> String {
        pick!(self, format!("Dense {layer}"), format!("全连接 {layer}"))
    }

    /// What a convolution block gives.
    pub fn block_output(self, maps: usize, side: usize, parameters: usize) -> String {
        let parameters = count(parameters as u32);
        pick!(
            self,
            format!("→ {maps} × {side}×{side} · {parameters}"),
            format!("→ {maps} × {side}×{side} · {parameters}"),
        )
    }

    /// The button that moves a layer towards the image, or away from it.
    pub fn move_layer(self, title: &str, up: bool) -> String {
        match up {
            true => pick!(self, format!("Move {title} up"), format!("上移{title}")),
            false => pick!(self, format!("Move {title} down"), format!("下移{title}")),
        }
    }

    /// What is said when a layer was moved.
    pub fn moved(self, title: &str, to: &str) -> String {
        pick!(self, format!("{title} is now {to}."), format!("{title}现在是{to}。"))
    }

    /// The button that takes a layer out.
    pub fn remove_layer(self, title: &str) -> String {
        pick!(self, format!("Remove {title}"), format!("移除{title}"))
    }

    /// A layer's control, for those who only hear it.
    pub fn control_of(self, title: &str, control: &str) -> String {
        pick!(self, format!("{title}: {control}"), format!("{title}：{control}"))
    }

    /// The augmentation in a few words.
    pub fn augmentation_summary(self, augmentation: &Augmentation) -> String {
        match mixture(augmentation) {
            Some(name) => self.choice(Field::Augment, name).to_ascii_lowercase(),
            None => {
                let on = Change::ALL.into_iter().filter(|change| augmentation.amount(*change).is_on());
                let names: Vec<_> = on.map(|change| self.field(Field::Change(change)).to_ascii_lowercase()).collect();
                names.join(pick!(self, ", ", "、"))
            }
        }
    }

    /// How strong a change is.
    pub fn strength(self, change: Change, strength: f32) -> String {
        let percent = decimal(f64::from(strength) * 100.0, 0);
        match change {
            _ if strength <= 0.0 => pick!(self, "off", "关闭").into(),
            Change::Rotation => pick!(self, format!("up to {strength}° either way"), format!("左右各最多 {strength}°")),
            Change::Translation => pick!(self, format!("up to {strength} pixels"), format!("最多 {strength} 个像素")),
            Change::Scale => {
                pick!(self, format!("up to {percent}% larger or smaller"), format!("最多放大或缩小 {percent}%"))
            }
            Change::Crop => pick!(self, format!("up to {percent}% cut away"), format!("最多裁掉 {percent}%")),
            Change::Brightness => {
                pick!(self, format!("up to {percent}% lighter or darker"), format!("最多变亮或变暗 {percent}%"))
            }
            Change::Contrast => pick!(self, format!("up to {percent}% more or less"), format!("最多增减 {percent}%")),
            Change::Noise => pick!(self, format!("{percent}% at each pixel"), format!("每个像素 {percent}%")),
            Change::Flip => pick!(self, "left to right", "左右镜像").into(),
        }
    }

    /// How often a change is made.
    pub fn probability(self, probability: f32) -> String {
        let percent = decimal(f64::from(probability) * 100.0, 0);
        pick!(self, format!("{percent}% of digits"), format!("{percent}% 的数字"))
    }

    /// A change's strength and how often it is made.
    pub fn amount(self, change: Change, amount: Amount) -> String {
        if !amount.is_on() {
            return self.strength(change, 0.0);
        }
        let (strength, often) = (self.strength(change, amount.strength), self.probability(amount.probability));
        pick!(self, format!("{strength}, {often}"), format!("{strength}，{often}"))
    }

    /// What the preview shows, for those who can't see it.
    pub fn preview(self, augmentation: &Augmentation) -> String {
        let on = Change::ALL.into_iter().filter(|change| augmentation.amount(*change).is_on());
        let words: Vec<_> = on
            .map(|change| {
                let (name, amount) =
                    (self.field(Field::Change(change)), self.amount(change, augmentation.amount(change)));
                pick!(self, format!("{name}: {amount}"), format!("{name}：{amount}"))
            })
            .collect();
        if words.is_empty() {
            return pick!(self, "Digits as the network will see them, unchanged.", "网络将看到的数字，没有变化。")
                .into();
        }
        let words = words.join(pick!(self, "; ", "；"));
        pick!(self, format!("Digits as the network will see them. {words}."), format!("网络将看到的数字。{words}。"))
    }

    /// Schedule and stopping in a few words.
    pub fn schedule_summary(self, config: &RunConfig) -> String {
        let schedule = self.schedule(config.schedule);
        let (warm_up, patience) = (config.warm_up, config.patience);
        let warm_up = match warm_up > 0.0 {
            true => pick!(self, format!(", warm-up {warm_up}"), format!("，预热 {warm_up} 轮")),
            false => String::new(),
        };
        let stop = match patience {
            0 => pick!(self, "no early stop".into(), "不提前停止".into()),
            _ => pick!(self, format!("stops after {patience}"), format!("{patience} 轮无进步则停")),
        };
        pick!(self, format!("{schedule}{warm_up}, {stop}"), format!("{schedule}{warm_up}，{stop}"))
    }

    /// The plot of the learning rate, for those who can't see it.
    pub fn schedule_plot(self, epochs: u32, first: f64, most: f64, last: f64) -> String {
        let [first, most, last] = [first, most, last].map(rate);
        pick!(
            self,
            format!("Learning rate over {epochs} epochs: it begins at {first}, is at most {most} and ends at {last}."),
            format!("{epochs} 轮中的学习率：从 {first} 开始，最高 {most}，结束时 {last}。"),
        )
    }

    /// The end of that plot's axis.
    pub fn epoch_mark(self, epochs: u32) -> String {
        pick!(self, format!("epoch {epochs}"), format!("第 {epochs} 轮"))
    }

    /// Why a run ended before its last epoch.
    pub fn ended_early(self, patience: u32) -> String {
        match (self, patience) {
            (Lang::En, 1) => "Ended early: *1* epoch without a gain".into(),
            (Lang::En, _) => format!("Ended early: *{patience}* epochs without a gain"),
            (Lang::Zh, _) => format!("提前结束：*{patience}* 轮没有进步"),
        }
    }

    /// Regularisation in a few words.
    pub fn regularisation_summary(self, config: &RunConfig) -> String {
        let fields = [Field::WeightDecay, Field::ClipNorm, Field::LabelSmoothing, Field::Dropout];
        let on: Vec<_> = fields
            .into_iter()
            .filter(|field| is_changed(*field, config))
            .map(|field| format!("{} {}", self.field(field).to_ascii_lowercase(), field.get(config)))
            .collect();
        if on.is_empty() { pick!(self, "none", "无").into() } else { on.join(pick!(self, ", ", "，")) }
    }

    /// The data in a few words.
    pub fn data_summary(self, used: u32, all: u32, name: &str) -> String {
        let (used, all) = (count(used), count(all));
        if name.is_empty() {
            return pick!(self, format!("{used} digits"), format!("{used} 个数字"));
        }
        pick!(self, format!("{used} of {all} · {name}"), format!("{all} 个中的 {used} 个 · {name}"))
    }

    /// How the data is divided.
    pub fn data_split(self, validation: u32, test: u32) -> String {
        let (validation, test) = (count(validation), count(test));
        pick!(
            self,
            format!(
                "{validation} more are kept aside for validation after each epoch, and {test} for the test at the end."
            ),
            format!("另有 {validation} 个留作每轮之后的验证，{test} 个留作最后的考试。"),
        )
    }
}

/// A learning rate as it is read: three digits that count.
pub(in crate::page) fn rate(rate: f64) -> String {
    if rate == 0.0 {
        return "0".into();
    }
    let digits = (2 - rate.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = decimal(rate, digits);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}
