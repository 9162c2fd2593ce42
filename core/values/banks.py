"""The banks that payments may name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bank:
    sort_order: int
    code: str
    name_fa: str
    name_en: str


BANKS: tuple[Bank, ...] = (
    Bank(1, "BMELLI", "بانک ملی ایران", "Bank Melli Iran"),
    Bank(2, "BSEPAH", "بانک سپه", "Bank Sepah"),
    Bank(3, "BMASKAN", "بانک مسکن", "Bank Maskan"),
    Bank(4, "BKESHAVARZI", "بانک کشاورزی", "Bank Keshavarzi"),
    Bank(5, "BSANAT", "بانک صنعت و معدن", "Bank Sanat va Madan"),
    Bank(6, "BTOSEE", "بانک توسعه صادرات", "Export Development Bank"),
    Bank(7, "BTAAVON", "بانک توسعه تعاون", "Tose-e Taavon Bank"),
    Bank(8, "BPOSTBANK", "پست بانک ایران", "Post Bank of Iran"),
    Bank(10, "BPARSIAN", "بانک پارسیان", "Parsian Bank"),
    Bank(11, "BPASARGAD", "بانک پاسارگاد", "Bank Pasargad"),
    Bank(12, "BEGHTESAD", "بانک اقتصاد نوین", "EN Bank"),
    Bank(13, "BSAMAN", "بانک سامان", "Saman Bank"),
    Bank(14, "BKARAFARIN", "بانک کارآفرین", "Karafarin Bank"),
    Bank(15, "BSINA", "بانک سینا", "Sina Bank"),
    Bank(16, "BSARMAYEH", "بانک سرمایه", "Sarmayeh Bank"),
    Bank(17, "BTAT", "بانک تات", "Tat Bank"),
    Bank(18, "BSHAHR", "بانک شهر", "Shahr Bank"),
    Bank(19, "BDEY", "بانک دی", "Day Bank"),
    Bank(20, "BSADERAT", "بانک صادرات ایران", "Bank Saderat Iran"),
    Bank(21, "BMELLAT", "بانک ملت", "Bank Mellat"),
    Bank(22, "BTEJARAT", "بانک تجارت", "Bank Tejarat"),
    Bank(23, "BREFAH", "بانک رفاه کارگران", "Refah Bank"),
    Bank(24, "BANSAR", "بانک انصار", "Ansar Bank"),
    Bank(25, "BHEKMAT", "بانک حکمت ایرانیان", "Hekmat Iranian Bank"),
    Bank(26, "BGARDESH", "بانک گردشگری", "Tourism Bank"),
    Bank(27, "BIRAN_ZAMIN", "بانک ایران زمین", "Iran Zamin Bank"),
    Bank(28, "BQAVAMIN", "بانک قوامین", "Ghavamin Bank"),
    Bank(29, "BKOSAR", "بانک کوثر", "Kosar Bank"),
    Bank(30, "BASIAN", "بانک آسیا", "Asia Bank"),
    Bank(31, "BKHAVARMIANEH", "بانک خاورمیانه", "Middle East Bank"),
    Bank(32, "BAYANDEH", "بانک آینده", "Ayandeh Bank"),
    Bank(33, "BIRAN_VENEZUELA", "بانک مشترک ایران و ونزوئلا", "Iran-Venezuela Bank"),
    Bank(40, "CMELAL", "موسسه ملل", "Melal Credit Institution"),
    Bank(41, "CKOSAR", "موسسه کوثر", "Kosar Credit Institution"),
    Bank(42, "CNOOR", "موسسه نور", "Noor Credit Institution"),
    Bank(50, "CASH", "نقدی", "Cash"),
    Bank(51, "CHEQUE", "چک", "Cheque"),
    Bank(52, "TRANSFER", "انتقال وجه", "Wire Transfer"),
    Bank(99, "OTHER", "سایر", "Other"),
)
