--- "run<TAB>revision" → run.
local function run_of(ident)
  return match(ident, "^[^\t]*")
end
