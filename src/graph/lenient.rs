//! JSON values that are what they should be, or else nothing: never an error that costs the whole answer.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A string, or a number in its digits; anything else is nothing.
#[derive(Default)]
pub(super) struct Text<'a>(pub(super) Option<Cow<'a, str>>);

/// A boolean, also as text; anything else is false.
#[derive(Default)]
pub(super) struct Flag(pub(super) bool);

/// An object; anything else is nothing.
pub(super) struct Maybe<T>(pub(super) Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// The visits that answer "nothing": each visitor below overrides those that it understands.
macro_rules! nothing {
    ($nothing:expr; $($visit:ident($value:ty)),*) => {
        $(fn $visit<E>(self, _: $value) -> Result<Self::Value, E> { Ok($nothing) })*
    };
}

/// An odd array or object is read to its end, so that the reader stands behind it.
macro_rules! drained {
    (array => $nothing:expr) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
            while array.next_element::<IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
    (object => $nothing:expr) => {
        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
    (null => $nothing:expr) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(number.to_string()))))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(number.to_string()))))
    }
    nothing!(Text(None); visit_bool(bool), visit_f64(f64));
    drained!(null => Text(None));
    drained!(array => Text(None));
    drained!(object => Text(None));
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct FlagVisitor;

impl<'de> Visitor<'de> for FlagVisitor {
    type Value = Flag;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean")
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Flag, E> {
        Ok(Flag(flag))
    }
    fn visit_str<E>(self, text: &str) -> Result<Flag, E> {
        Ok(Flag(text.eq_ignore_ascii_case("true")))
    }
    nothing!(Flag(false); visit_u64(u64), visit_i64(i64), visit_f64(f64));
    drained!(null => Flag(false));
    drained!(array => Flag(false));
    drained!(object => Flag(false));
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FlagVisitor)
    }
}

struct MaybeVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MaybeVisitor<T> {
    type Value = Maybe<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Maybe<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(|value| Maybe(Some(value)))
    }
    nothing!(Maybe(None); visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64), visit_str(&str));
    drained!(null => Maybe(None));
    drained!(array => Maybe(None));
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaybeVisitor(PhantomData))
    }
}

/// An array, of which is kept what its elements are worth, one by one; anything else is nothing. There is
/// room from the start for as many as `usual`, so that nothing is copied while the list grows.
pub(super) fn list<'de, D, Item, T>(
    field: D,
    usual: usize,
    worth: fn(Item) -> Option<T>,
) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    Item: Deserialize<'de>,
{
    field.deserialize_any(ListVisitor { usual, worth })
}

struct ListVisitor<Item, T> {
    usual: usize,
    worth: fn(Item) -> Option<T>,
}

impl<'de, Item: Deserialize<'de>, T> Visitor<'de> for ListVisitor<Item, T> {
    type Value = Option<Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Option<Vec<T>>, A::Error> {
        let mut kept = Vec::with_capacity(self.usual);
        while let Some(element) = array.next_element()? {
            kept.extend((self.worth)(element));
        }
        Ok(Some(kept))
    }
    nothing!(None; visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64), visit_str(&str));
    drained!(null => None);
    drained!(object => None);
}
