"""CEL's grammar for lark's LALR parser (facts from CEL.g4 of cel-go v0.29.2, optional syntax included)."""

GRAMMAR = r"""
?start: expr
?expr: _or
    | _or QUESTION _or ":" expr -> conditional
_or: _and | or_chain
or_chain: _and ("||" _and)+
_and: relation | and_chain
and_chain: relation ("&&" relation)+
?relation: sum
    | relation RELATION sum -> binary
    | relation IN sum -> binary
?sum: product
    | sum (PLUS | MINUS) product -> binary
?product: unary
    | product PRODUCT unary -> binary
?unary: member
    | NOT+ member -> logical_not
    | NOT+ MINUS member -> not_negative
    | MINUS+ member -> negate
?member: primary
    | member DOT QUESTION _field -> optional_select
    | member DOT _field -> select
    | member DOT IDENT LPAREN [args] ")" -> member_call
    | member LSQB expr "]" -> index
    | member LSQB QUESTION expr "]" -> optional_index
    | member LBRACE [fields] "}" -> message
?primary: IDENT -> ident
    | DOT IDENT -> absolute_ident
    | IDENT LPAREN [args] ")" -> global_call
    | DOT IDENT LPAREN [args] ")" -> absolute_call
    | "(" expr ")" -> nested
    | LSQB [elements] "]" -> list_literal
    | LSQB "," "]" -> list_literal
    | LBRACE [entries] "}" -> map_literal
    | LBRACE "," "}" -> map_literal
    | INT -> int_literal
    | UINT -> uint_literal
    | FLOAT -> float_literal
    | STRING -> string_literal
    | BYTES -> bytes_literal
    | TRUE -> true
    | FALSE -> false
    | NULL -> null
_field: IDENT | ESCAPED
args: expr ("," expr)*
elements: _element ("," _element)* ","?
_element: expr | optional
optional: "?" expr
entries: entry ("," entry)* ","?
entry: _element ":" expr
fields: field ("," field)* ","?
field: "?"? _field ":" expr

RELATION: "==" | "!=" | "<=" | ">=" | "<" | ">"
IN: "in"
TRUE: "true"
FALSE: "false"
NULL: "null"
PLUS: "+"
MINUS: "-"
PRODUCT: "*" | "/" | "%"
NOT: "!"
DOT: "."
QUESTION: "?"
LPAREN: "("
LSQB: "["
LBRACE: "{"
FLOAT.4: /[0-9]+\.[0-9]+([eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+([eE][+-]?[0-9]+)?/
UINT.3: /0x[0-9a-fA-F]+[uU]|[0-9]+[uU]/
INT.2: /0x[0-9a-fA-F]+|[0-9]+/
BYTES.3: /[bB](?:[rR](?:QQQ)|PPP)/
STRING.2: /[rR](?:QQQ)|PPP/
IDENT: /[a-zA-Z_][a-zA-Z0-9_]*/
ESCAPED: /`[a-zA-Z0-9_.\-\/ ]+`/
%ignore /[\t \r\n\f]+/
%ignore /\/\/[^\n]*/
"""

_ESCAPE = r"""\\(?:[abfnrtv"'\\?`]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2})"""
_RAW = "|".join([r'"""(?s:.)*?"""', r"'''(?s:.)*?'''", r'"[^"\n\r]*"', r"'[^'\n\r]*'"])
_PLAIN = "|".join(
    [
        rf'"""(?:{_ESCAPE}|[^\\])*?"""',
        rf"'''(?:{_ESCAPE}|[^\\])*?'''",
        rf'"(?:{_ESCAPE}|[^"\n\r\\])*"',
        rf"'(?:{_ESCAPE}|[^\\'\n\r])*'",
    ]
)


def grammar() -> str:
    """The grammar with the patterns of strings filled in."""
    return GRAMMAR.replace("QQQ", _RAW).replace("PPP", f"(?:{_PLAIN})")
