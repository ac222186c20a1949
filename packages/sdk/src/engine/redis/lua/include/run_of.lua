--- "run<TAB>revision" → run.
local function run_of(ident)
  return string.match(ident, "^[^\t]*")
end
