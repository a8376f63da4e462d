//! Four floats at once: the width that WebAssembly's `simd128` has. Natively the same operations in the same order, so
//! that a result is the same bit for bit in the browser and outside of it; no fused multiply-add for that reason, but
//! with the feature `relaxed`, in a browser.
//!
//! Loads and stores go through raw pointers: the kernels' inner loops can't afford a bounds check a load. Each caller
//! says why its pointers are good.

#[cfg(target_arch = "wasm32")]
use core::arch::wasm32 as arch;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64 as arch;

#[cfg(target_arch = "wasm32")]
type Lanes = arch::v128;
#[cfg(target_arch = "x86_64")]
type Lanes = arch::__m128;
#[cfg(not(any(target_arch = "wasm32", target_arch = "x86_64")))]
type Lanes = [f32; 4];
#[cfg(any(target_arch = "wasm32", target_arch = "x86_64"))]
type BitLanes = Lanes;
#[cfg(not(any(target_arch = "wasm32", target_arch = "x86_64")))]
type BitLanes = [u32; 4];

/// Four floats.
#[derive(Debug, Clone, Copy)]
pub struct F4(Lanes);

/// Four times 32 bits; what a comparison answers has all of them set, or none: −1 or 0 as whole numbers.
#[derive(Debug, Clone, Copy)]
pub struct Bits(BitLanes);

#[cfg(target_arch = "wasm32")]
impl F4 {
    /// The same number four times.
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        Self(arch::f32x4_splat(value))
    }

    /// Four numbers.
    #[inline(always)]
    pub fn of([a, b, c, d]: [f32; 4]) -> Self {
        Self(arch::f32x4(a, b, c, d))
    }

    /// # Safety
    /// Four floats can be read at `from`.
    #[inline(always)]
    pub unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as the caller promises; v128.load takes any alignment.
        Self(unsafe { arch::v128_load(from.cast()) })
    }

    /// # Safety
    /// Four floats can be written at `to`.
    #[inline(always)]
    pub unsafe fn store(self, to: *mut f32) {
        // SAFETY: as the caller promises; v128.store takes any alignment.
        unsafe { arch::v128_store(to.cast(), self.0) }
    }

    /// # Safety
    /// One float can be read at `from`.
    #[inline(always)]
    pub unsafe fn load_splat(from: *const f32) -> Self {
        // SAFETY: as the caller promises.
        Self(unsafe { arch::v128_load32_splat(from.cast()) })
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self(arch::f32x4_add(self.0, other.0))
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self(arch::f32x4_sub(self.0, other.0))
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self(arch::f32x4_mul(self.0, other.0))
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        Self(arch::f32x4_div(self.0, other.0))
    }

    /// The square roots.
    #[inline(always)]
    pub fn sqrt(self) -> Self {
        Self(arch::f32x4_sqrt(self.0))
    }

    /// Lane by lane the greater one; `self` where they are equal, or one of them is no number.
    #[inline(always)]
    pub fn greater(self, other: Self) -> Self {
        Self(arch::f32x4_pmax(self.0, other.0))
    }

    /// Where this one is less.
    #[inline(always)]
    pub fn is_below(self, other: Self) -> Bits {
        Bits(arch::f32x4_lt(self.0, other.0))
    }

    /// Where this one is at most the other.
    #[inline(always)]
    pub fn is_at_most(self, other: Self) -> Bits {
        Bits(arch::f32x4_le(self.0, other.0))
    }

    /// Zero where the bits are set.
    #[inline(always)]
    pub fn except(self, bits: Bits) -> Self {
        Self(arch::v128_andnot(self.0, bits.0))
    }

    /// The numbers' own bits.
    #[inline(always)]
    pub fn to_bits(self) -> Bits {
        Bits(self.0)
    }
}

#[cfg(target_arch = "wasm32")]
impl Bits {
    /// Zeros.
    #[inline(always)]
    pub fn zero() -> Self {
        Self(arch::u32x4_splat(0))
    }

    /// The difference, of whole numbers.
    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(arch::i32x4_sub(self.0, other.0))
    }

    /// The bits that one of them has.
    #[inline(always)]
    pub fn or(self, other: Self) -> Self {
        Self(arch::v128_or(self.0, other.0))
    }

    /// Whether none is set.
    #[inline(always)]
    pub fn is_zero(self) -> bool {
        !arch::v128_any_true(self.0)
    }

    /// Lane by lane: `yes` where this one is set.
    #[inline(always)]
    pub fn choose(self, yes: Self, no: Self) -> Self {
        Self(arch::v128_bitselect(yes.0, no.0, self.0))
    }

    /// Four whole numbers.
    #[inline(always)]
    pub fn of([a, b, c, d]: [u32; 4]) -> Self {
        Self(arch::u32x4(a, b, c, d))
    }

    /// The sum, of whole numbers.
    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(arch::i32x4_add(self.0, other.0))
    }

    /// Eight numbers from −128 to 127 as bytes.
    #[inline(always)]
    pub fn to_bytes([left, right]: [Self; 2]) -> [u8; 8] {
        let narrow = arch::i16x8_narrow_i32x4(left.0, right.0);
        arch::u64x2_extract_lane::<0>(arch::i8x16_narrow_i16x8(narrow, narrow)).to_le_bytes()
    }
}

#[cfg(target_arch = "x86_64")]
impl F4 {
    /// The same number four times.
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        // SAFETY: SSE2 belongs to every x86-64.
        Self(unsafe { arch::_mm_set1_ps(value) })
    }

    /// Four numbers.
    #[inline(always)]
    pub fn of([a, b, c, d]: [f32; 4]) -> Self {
        // SAFETY: SSE2 belongs to every x86-64.
        Self(unsafe { arch::_mm_setr_ps(a, b, c, d) })
    }

    /// # Safety
    /// Four floats can be read at `from`.
    #[inline(always)]
    pub unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as the caller promises; an unaligned load.
        Self(unsafe { arch::_mm_loadu_ps(from) })
    }

    /// # Safety
    /// Four floats can be written at `to`.
    #[inline(always)]
    pub unsafe fn store(self, to: *mut f32) {
        // SAFETY: as the caller promises; an unaligned store.
        unsafe { arch::_mm_storeu_ps(to, self.0) }
    }

    /// # Safety
    /// One float can be read at `from`.
    #[inline(always)]
    pub unsafe fn load_splat(from: *const f32) -> Self {
        // SAFETY: as the caller promises.
        Self(unsafe { arch::_mm_load1_ps(from) })
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: SSE2 belongs to every x86-64; and so below.
        Self(unsafe { arch::_mm_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { arch::_mm_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { arch::_mm_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { arch::_mm_div_ps(self.0, other.0) })
    }

    /// The square roots.
    #[inline(always)]
    pub fn sqrt(self) -> Self {
        // SAFETY: as above.
        Self(unsafe { arch::_mm_sqrt_ps(self.0) })
    }

    /// Lane by lane the greater one; `self` where they are equal, or one of them is no number.
    #[inline(always)]
    pub fn greater(self, other: Self) -> Self {
        // SAFETY: as above. The second operand is the answer where the comparison fails.
        Self(unsafe { arch::_mm_max_ps(other.0, self.0) })
    }

    /// Where this one is less.
    #[inline(always)]
    pub fn is_below(self, other: Self) -> Bits {
        // SAFETY: as above.
        Bits(unsafe { arch::_mm_cmplt_ps(self.0, other.0) })
    }

    /// Where this one is at most the other.
    #[inline(always)]
    pub fn is_at_most(self, other: Self) -> Bits {
        // SAFETY: as above.
        Bits(unsafe { arch::_mm_cmple_ps(self.0, other.0) })
    }

    /// Zero where the bits are set.
    #[inline(always)]
    pub fn except(self, bits: Bits) -> Self {
        // SAFETY: as above.
        Self(unsafe { arch::_mm_andnot_ps(bits.0, self.0) })
    }

    /// The numbers' own bits.
    #[inline(always)]
    pub fn to_bits(self) -> Bits {
        Bits(self.0)
    }
}

#[cfg(target_arch = "x86_64")]
impl Bits {
    /// Zeros.
    #[inline(always)]
    pub fn zero() -> Self {
        // SAFETY: as above.
        Self(unsafe { arch::_mm_setzero_ps() })
    }

    /// The difference, of whole numbers.
    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        // SAFETY: as above.
        let whole = unsafe { arch::_mm_sub_epi32(arch::_mm_castps_si128(self.0), arch::_mm_castps_si128(other.0)) };
        // SAFETY: as above.
        Self(unsafe { arch::_mm_castsi128_ps(whole) })
    }

    /// The bits that one of them has.
    #[inline(always)]
    pub fn or(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { arch::_mm_or_ps(self.0, other.0) })
    }

    /// Whether none is set.
    #[inline(always)]
    pub fn is_zero(self) -> bool {
        self.to_array() == [0; 4]
    }

    /// Lane by lane: `yes` where this one is set.
    #[inline(always)]
    pub fn choose(self, yes: Self, no: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { arch::_mm_or_ps(arch::_mm_and_ps(self.0, yes.0), arch::_mm_andnot_ps(self.0, no.0)) })
    }

    /// Four whole numbers.
    #[inline(always)]
    pub fn of(numbers: [u32; 4]) -> Self {
        let [a, b, c, d] = numbers.map(u32::cast_signed);
        // SAFETY: as above.
        Self(unsafe { arch::_mm_castsi128_ps(arch::_mm_setr_epi32(a, b, c, d)) })
    }

    /// The sum, of whole numbers.
    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        // SAFETY: as above.
        let whole = unsafe { arch::_mm_add_epi32(arch::_mm_castps_si128(self.0), arch::_mm_castps_si128(other.0)) };
        // SAFETY: as above.
        Self(unsafe { arch::_mm_castsi128_ps(whole) })
    }

    /// The four numbers.
    #[inline(always)]
    fn to_array(self) -> [u32; 4] {
        F4(self.0).to_array().map(f32::to_bits)
    }

    /// Eight numbers from −128 to 127 as bytes.
    #[inline(always)]
    pub fn to_bytes([left, right]: [Self; 2]) -> [u8; 8] {
        // SAFETY: as above.
        unsafe {
            let narrow = arch::_mm_packs_epi32(arch::_mm_castps_si128(left.0), arch::_mm_castps_si128(right.0));
            arch::_mm_cvtsi128_si64(arch::_mm_packs_epi16(narrow, narrow)).to_le_bytes()
        }
    }
}

#[cfg(not(any(target_arch = "wasm32", target_arch = "x86_64")))]
impl F4 {
    /// The same number four times.
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    /// Four numbers.
    #[inline(always)]
    pub fn of(numbers: [f32; 4]) -> Self {
        Self(numbers)
    }

    /// # Safety
    /// Four floats can be read at `from`.
    #[inline(always)]
    pub unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as the caller promises.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    /// # Safety
    /// Four floats can be written at `to`.
    #[inline(always)]
    pub unsafe fn store(self, to: *mut f32) {
        // SAFETY: as the caller promises.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    /// # Safety
    /// One float can be read at `from`.
    #[inline(always)]
    pub unsafe fn load_splat(from: *const f32) -> Self {
        // SAFETY: as the caller promises.
        Self::splat(unsafe { from.read() })
    }

    #[inline(always)]
    fn each(self, other: Self, op: impl Fn(f32, f32) -> f32) -> Self {
        Self(core::array::from_fn(|lane| op(self.0[lane], other.0[lane])))
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.each(other, |a, b| a + b)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.each(other, |a, b| a - b)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.each(other, |a, b| a * b)
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        self.each(other, |a, b| a / b)
    }

    /// The square roots.
    #[inline(always)]
    pub fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }

    /// Lane by lane the greater one; `self` where they are equal, or one of them is no number.
    #[inline(always)]
    pub fn greater(self, other: Self) -> Self {
        self.each(other, |a, b| if a < b { b } else { a })
    }

    /// Where this one is less.
    #[inline(always)]
    pub fn is_below(self, other: Self) -> Bits {
        Bits(core::array::from_fn(|lane| if self.0[lane] < other.0[lane] { u32::MAX } else { 0 }))
    }

    /// Where this one is at most the other.
    #[inline(always)]
    pub fn is_at_most(self, other: Self) -> Bits {
        Bits(core::array::from_fn(|lane| if self.0[lane] <= other.0[lane] { u32::MAX } else { 0 }))
    }

    /// Zero where the bits are set.
    #[inline(always)]
    pub fn except(self, bits: Bits) -> Self {
        Self(core::array::from_fn(|lane| f32::from_bits(self.0[lane].to_bits() & !bits.0[lane])))
    }

    /// The numbers' own bits.
    #[inline(always)]
    pub fn to_bits(self) -> Bits {
        Bits(self.0.map(f32::to_bits))
    }
}

#[cfg(not(any(target_arch = "wasm32", target_arch = "x86_64")))]
impl Bits {
    /// Zeros.
    #[inline(always)]
    pub fn zero() -> Self {
        Self([0; 4])
    }

    /// The difference, of whole numbers.
    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(core::array::from_fn(|lane| self.0[lane].wrapping_sub(other.0[lane])))
    }

    /// The bits that one of them has.
    #[inline(always)]
    pub fn or(self, other: Self) -> Self {
        Self(core::array::from_fn(|lane| self.0[lane] | other.0[lane]))
    }

    /// Whether none is set.
    #[inline(always)]
    pub fn is_zero(self) -> bool {
        self.0 == [0; 4]
    }

    /// Lane by lane: `yes` where this one is set.
    #[inline(always)]
    pub fn choose(self, yes: Self, no: Self) -> Self {
        Self(core::array::from_fn(|lane| yes.0[lane] & self.0[lane] | no.0[lane] & !self.0[lane]))
    }

    /// Four whole numbers.
    #[inline(always)]
    pub fn of(numbers: [u32; 4]) -> Self {
        Self(numbers)
    }

    /// The sum, of whole numbers.
    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(core::array::from_fn(|lane| self.0[lane].wrapping_add(other.0[lane])))
    }

    /// The four numbers.
    #[inline(always)]
    fn to_array(self) -> [u32; 4] {
        self.0
    }

    /// Eight numbers from −128 to 127 as bytes.
    #[inline(always)]
    pub fn to_bytes([left, right]: [Self; 2]) -> [u8; 8] {
        core::array::from_fn(|lane| if lane < 4 { left.0[lane] } else { right.0[lane - 4] } as u8)
    }
}

impl Bits {
    /// Set in the lanes whose bit of `chosen`, the lowest is the first lane's, is set.
    ///
    /// # Panics
    /// If `chosen` has more than four bits.
    #[inline(always)]
    pub fn of_places(chosen: u32) -> Self {
        const SET: [[u32; 4]; 16] = {
            let (mut table, mut chosen) = ([[0; 4]; 16], 0);
            while chosen < 64 {
                if (chosen / 4) >> (chosen % 4) & 1 == 1 {
                    table[chosen / 4][chosen % 4] = u32::MAX;
                }
                chosen += 1;
            }
            table
        };
        Self::of(SET[chosen as usize])
    }
}

impl F4 {
    /// Zeros.
    #[inline(always)]
    pub fn zero() -> Self {
        Self::splat(0.0)
    }

    /// `self + a × b`: rounded twice, or once with the feature `relaxed` on a processor that can. Each function in which
    /// this ends up says that it uses that instruction set, else it is a call.
    #[inline(always)]
    pub fn add_product(self, a: Self, b: Self) -> Self {
        #[cfg(all(feature = "relaxed", target_arch = "wasm32"))]
        return Self(arch::f32x4_relaxed_madd(a.0, b.0, self.0));
        #[cfg(not(all(feature = "relaxed", target_arch = "wasm32")))]
        self.plus(a.times(b))
    }

    /// Four floats that lie `apart` from each other.
    ///
    /// # Safety
    /// They can be read.
    #[inline(always)]
    pub unsafe fn load_apart(from: *const f32, apart: usize) -> Self {
        // SAFETY: as the caller promises.
        Self::of(core::array::from_fn(|lane| unsafe { *from.add(lane * apart) }))
    }

    /// The four numbers.
    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        let mut lanes = [0.0; 4];
        // SAFETY: the array has room for four.
        unsafe { self.store(lanes.as_mut_ptr()) };
        lanes
    }
}

impl core::ops::Add for F4 {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.plus(other)
    }
}

impl core::ops::Sub for F4 {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.minus(other)
    }
}

impl core::ops::Mul for F4 {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.times(other)
    }
}

impl core::ops::Div for F4 {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.over(other)
    }
}

/// Changes each number by its counterpart, four at a time. By hand: the published build is compiled for size, in which a
/// loop stays one of single numbers, and a copy of a few becomes a call.
///
/// # Panics
/// If there are not as many of both.
#[inline(always)]
pub fn zip(to: &mut [f32], from: &[f32], change: impl Fn(F4, F4) -> F4) {
    assert_eq!(to.len(), from.len(), "a counterpart of each");
    let (fours, rest) = to.as_chunks_mut::<4>();
    let (from, from_rest) = from.as_chunks::<4>();
    for (to, from) in fours.iter_mut().zip(from) {
        // SAFETY: four floats each.
        unsafe { change(F4::load(to.as_ptr()), F4::load(from.as_ptr())).store(to.as_mut_ptr()) };
    }
    for (to, from) in rest.iter_mut().zip(from_rest) {
        [*to, ..] = change(F4::splat(*to), F4::splat(*from)).to_array();
    }
}

/// Which of sixteen bytes are this one: a bit for each, the first the lowest.
#[inline(always)]
pub fn places_of(byte: u8, bytes: &[u8; 16]) -> u32 {
    #[cfg(target_arch = "wasm32")]
    {
        // SAFETY: sixteen bytes; v128.load takes any alignment.
        let bytes = unsafe { arch::v128_load(bytes.as_ptr().cast()) };
        u32::from(arch::u8x16_bitmask(arch::u8x16_eq(bytes, arch::u8x16_splat(byte))))
    }
    #[cfg(not(target_arch = "wasm32"))]
    bytes.iter().rev().fold(0, |places, &other| places << 1 | u32::from(other == byte))
}

/// Writes a pair of each lane whose bit of `chosen`, the lowest is the first lane's, is set, one pair after the other;
/// how many they are.
///
/// # Safety
/// `chosen` has four bits, and four pairs can be written at `to`, whatever is chosen: behind those that are, it is
/// anything.
#[inline(always)]
pub unsafe fn store_chosen(left: F4, right: Bits, chosen: u32, to: *mut [u32; 2]) -> usize {
    #[cfg(target_arch = "wasm32")]
    {
        /// For each choice, which byte each byte comes from.
        const FROM: [[u8; 16]; 16] = {
            let (mut table, mut chosen) = ([[0; 16]; 16], 0);
            while chosen < 16 {
                let (mut lane, mut to) = (0, 0);
                while lane < 4 {
                    if chosen >> lane & 1 == 1 {
                        table[chosen][to] = 4 * lane;
                        table[chosen][to + 1] = 4 * lane + 1;
                        table[chosen][to + 2] = 4 * lane + 2;
                        table[chosen][to + 3] = 4 * lane + 3;
                        to += 4;
                    }
                    lane += 1;
                }
                chosen += 1;
            }
            table
        };
        // SAFETY: there are sixteen choices, and there is room, as the caller promises.
        unsafe {
            let from = arch::v128_load(FROM.as_ptr().add(chosen as usize).cast());
            let (left, right) = (arch::u8x16_swizzle(left.0, from), arch::u8x16_swizzle(right.0, from));
            arch::v128_store(to.cast(), arch::u32x4_shuffle::<0, 4, 1, 5>(left, right));
            arch::v128_store(to.add(2).cast(), arch::u32x4_shuffle::<2, 6, 3, 7>(left, right));
        }
        chosen.count_ones() as usize
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        let mut count = 0;
        for (lane, (left, right)) in left.to_array().into_iter().zip(right.to_array()).enumerate() {
            if chosen >> lane & 1 == 1 {
                // SAFETY: the caller promises room for four.
                unsafe { to.add(count).write([left.to_bits(), right]) };
                count += 1;
            }
        }
        count
    }
}
