--- Record → phase (without the time since when a run is ready), "run<TAB>revision", consumed, due, on, control, position of the body. One match, no parsing (B2).
local function parse(record)
  return match(record, "^(%a)%d*\t([^\t]*\t[^\t]*)\t(%d*)\t(%d*)\t([^\t]*)\t([^\t]*)\t()")
end
